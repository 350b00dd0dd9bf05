import {
  formatAmount,
  minorUnitDigits,
  minorUnits,
} from "../../../supabase/functions/_shared/minor_units.ts";

/** `/store/money.js`: the product's own code about amounts, as the browser runs it. */
export function storeMoney(): string {
  return [
    `const minorUnits = ${JSON.stringify(minorUnits)};`,
    minorUnitDigits.toString(),
    formatAmount.toString(),
    "export { formatAmount as formatMoney };",
  ].join("\n");
}
