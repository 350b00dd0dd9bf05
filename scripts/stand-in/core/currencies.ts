/** How Stripe counts each currency. https://docs.stripe.com/currencies */
export interface Currency {
  /** Decimal places of the minor unit: an amount of 12900 with 2 is 129.00. */
  digits: number;
  /** Amounts are multiples of this. */
  step: number;
  /** The largest amount of one charge. */
  max: number;
}

/** Currencies that payments are taken in. */
export const currencies: readonly string[] = `
  aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf clp
  cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr
  isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn
  myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle
  sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw
`.trim().split(/\s+/);

const ZERO_DECIMAL = new Set("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" "));
/** The last of the three decimals must be 0. */
const THREE_DECIMAL = new Set("bhd jod kwd omr tnd".split(" "));
/** Written with two decimals, which must be 00. */
const EFFECTIVELY_ZERO_DECIMAL = new Set(["isk", "ugx"]);

/** How a currency is counted; one that is not taken counts like most, and is refused where it is named. */
export function currencyOf(code: string): Currency {
  const max = code === "idr" ? 999_999_999_999 : 99_999_999;
  if (ZERO_DECIMAL.has(code)) return { digits: 0, step: 1, max };
  if (THREE_DECIMAL.has(code)) return { digits: 3, step: 10, max };
  return { digits: 2, step: EFFECTIVELY_ZERO_DECIMAL.has(code) ? 100 : 1, max };
}

/** An amount in minor units as the shopper reads it: `12900, "usd"` is $129.00. */
export function formatMoney(amount: number, code: string): string {
  const { digits, step } = currencyOf(code);
  return (amount / 10 ** digits).toLocaleString("en", {
    style: "currency",
    currency: code,
    minimumFractionDigits: step === 100 ? 0 : digits,
    maximumFractionDigits: Math.max(digits, 2),
  });
}
