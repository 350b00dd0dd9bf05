/** Stands for the product's own code about amounts: the site serves money.ts itself here, without its types. */
export * from "../../../../../supabase/functions/_shared/stripe/money.ts";
