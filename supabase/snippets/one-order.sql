-- What about this order: goods, address, parcels, last mail, and why it waits?
select * from reporting.order_overview where number = 'KCT-100001';
