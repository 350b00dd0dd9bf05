/** What only the database knew. */

/** In the words of staff: a rescue prints it, docs/disaster.md lists it. */
export const NOT_RECOVERABLE: readonly string[] = [
  "parcels and tracking numbers (shipments)",
  "returns that were received without a refund, and exchanges",
  "cancellations of orders that were never paid",
  "stock that was received, counted or corrected (adjustments, imports)",
  "the catalogue: products, variants, prices, pictures, delivery prices",
  "what staff released, noted, acknowledged or assigned (staff_commands)",
  "what velocity rules found, and the addresses and browsers of shoppers (purchase_ip, user_agent)",
  "whether a shopper agreed to reminders: nobody is reminded of an order that was made anew",
  "which mails were sent, delivered or bounced, and addresses that take no mail since",
  "settings, rules, members of staff, and accounts of customers that were made",
  "idempotency keys of checkouts: a repeat of an old request makes a new order",
  "erasures: erase again whom you erased since (docs/privacy.md)",
];
