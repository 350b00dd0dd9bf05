// The shop's one module about amounts, in the form that browsers run.
import { formatMoney as format } from "./shared/money.js";

/** An amount in minor units as the shopper reads it: 12900, "usd" gives $129.00. */
export function formatMoney(amount, currency) {
  return format(amount, currency, navigator.language);
}

export { billLines } from "./shared/money.js";
