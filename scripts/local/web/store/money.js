/** The product's own code about amounts. Browsers get it as store_money.ts writes it, without types and imports. */
export { formatAmount as formatMoney } from "../../../../supabase/functions/_shared/minor_units.ts";
