const formats = new Map<string, Intl.NumberFormat>();

/** An amount in minor units as people read it: `12900, "usd"` is "$129.00". */
export function formatMoney(amount: number, currency: string, locale = "en-US"): string {
  const key = `${locale}/${currency}`;
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.NumberFormat(locale, { style: "currency", currency });
    formats.set(key, format);
  }
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(amount / 10 ** digits);
}
