/** The shop that the account belongs to, as pages and statements name it. */
export const MERCHANT = { name: "KCT Menswear", statement: "KCT MENSWEAR" } as const;
