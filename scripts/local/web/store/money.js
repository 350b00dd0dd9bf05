/** An amount in minor units as the shopper reads it: 12900, "usd" gives $129.00. */
export function formatMoney(amount, currency) {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency: currency.toUpperCase() });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}
