-- Which order is it? By number, e-mail address, part of a name, last four digits of the card, or phone.
select * from reporting.find_order('ada@example.com');
