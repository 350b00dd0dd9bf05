import assert from "node:assert/strict";
import {
  formatAmount,
  largestAmount,
  minorUnitDigits,
  minorUnitStep,
} from "../../supabase/functions/_shared/minor_units.ts";
import { storeMoney } from "../../scripts/local/web/store_money.ts";

/** Amounts as Stripe's currency page writes them, and as a person would. */
const written: [amount: number, currency: string, shown: string][] = [
  [12_900, "usd", "$129.00"],
  [12_900, "USD", "$129.00"],
  [12_990, "jpy", "¥12,990"],
  [1_299_000, "isk", "ISK 12,990"],
  [5_000_000, "ugx", "UGX 50,000"],
  [1_299_000, "rsd", "RSD 12,990"],
  [1_299_050, "rsd", "RSD 12,990.50"],
  [12_990, "kwd", "KWD 12.990"],
  [250_000_000, "idr", "IDR 2,500,000.00"],
  [1_299_000, "huf", "HUF 12,990.00"],
  [0, "eur", "€0.00"],
  [-500, "eur", "-€5.00"],
];

for (const [amount, currency, shown] of written) {
  Deno.test(`formatAmount() writes ${amount} ${currency} as ${shown}`, () => {
    assert.equal(formatAmount(amount, currency, "en").replaceAll("\u00a0", " "), shown);
  });
}

Deno.test("formatAmount() falls back to English for a locale that is none", () => {
  assert.equal(formatAmount(12_900, "usd", "not a locale"), "$129.00");
});

Deno.test("formatAmount() never loses a minor unit, whatever Intl thinks of the currency", () => {
  for (const code of Intl.supportedValuesOf("currency")) {
    const digits = minorUnitDigits(code);
    for (const amount of [1, 10, 100, 12_345, 1_000_000]) {
      const text = formatAmount(amount, code, "en-US").replaceAll(/[^\d.]/g, "").replace(/^\./, "");
      assert.equal(Math.round(Number(text) * 10 ** digits), amount, `${amount} ${code}: ${text}`);
    }
  }
});

Deno.test("the browser's money.js is the same code", async () => {
  const module = await import(`data:text/javascript,${encodeURIComponent(storeMoney())}`);
  for (const [amount, currency] of written) {
    assert.equal(module.formatMoney(amount, currency, "en"), formatAmount(amount, currency, "en"));
  }
});

Deno.test("amounts that the step allows stay whole in the currency's own decimals", () => {
  for (const code of ["isk", "ugx", "kwd", "usd", "jpy", "idr"]) {
    assert.equal(largestAmount(code) % 1, 0);
    assert(minorUnitStep(code) <= 10 ** minorUnitDigits(code));
  }
});
