import assert from "node:assert/strict";
import { renderMail } from "../../supabase/functions/_shared/mails/mod.ts";
import {
  amountProblem,
  billLines,
  currencies,
  currencyRules,
  formatMoney,
} from "../../supabase/functions/_shared/stripe/money.ts";
import type { NotificationOrder } from "../../supabase/functions/_shared/database/notifications.ts";
import { links, notificationOf } from "../support/mail_fixture.ts";

/** From Stripe's page on currencies: minor units, and what they are. */
const written: [string, number, string][] = [
  ["usd", 12_900, "129.00"],
  ["isk", 1_299_000, "12,990"],
  ["ugx", 5_000_000, "50,000"],
  ["jpy", 12_990, "12,990"],
  ["kwd", 12_990, "12.990"],
  ["idr", 250_000_000, "2,500,000.00"],
  ["huf", 1_299_050, "12,990.50"],
  ["twd", 129_950, "1,299.50"],
  ["clp", 12_990, "12,990"],
];

for (const [currency, amount, expected] of written) {
  Deno.test(`formatMoney() reads ${amount} ${currency} as Stripe means it`, () => {
    assert.equal(formatMoney(amount, currency).replace(/[^\d.,]/g, ""), expected);
    assert.equal(formatMoney(amount, currency.toUpperCase()).replace(/[^\d.,]/g, ""), expected);
  });
}

Deno.test("currencies that Intl writes without decimals have two at Stripe, unless Stripe says otherwise", () => {
  for (const currency of ["all", "afn", "lak", "lbp", "mmk", "rsd", "sos", "yer", "cop", "crc", "pkr"]) {
    assert.equal(formatMoney(1_299_000, currency).replace(/[^\d.,]/g, ""), "12,990.00", currency);
  }
});

Deno.test("formatMoney() writes in the buyer's way, and in English where the tag is none", () => {
  assert.equal(formatMoney(129_000, "eur", "de"), "1.290,00\u00a0€");
  assert.equal(formatMoney(129_000, "eur", "no tag at all"), "€1,290.00");
});

Deno.test("amountProblem() knows the largest amount and the last digits of every currency", () => {
  assert.equal(currencies.length, new Set(currencies).size);
  assert.equal(currencyRules("xts"), null);
  const refused: [number, string][] = [
    [100_000_000, "usd"],
    [1_000_000_000_000, "idr"],
    [12_345, "kwd"],
    [150, "isk"],
    [150, "ugx"],
    [-1, "usd"],
    [1.5, "usd"],
    [Number.NaN, "usd"],
    [100, "xts"],
  ];
  for (const [amount, currency] of refused) {
    assert.notEqual(amountProblem(amount, currency), null, `${amount} ${currency}`);
  }
  for (const currency of currencies) {
    const { max, step } = currencyRules(currency) ?? { max: 0, step: 1 };
    assert.equal(amountProblem(max - max % step, currency), null, currency);
    assert.equal(amountProblem(0, currency), null, currency);
    assert(Number.isSafeInteger(max * 99 * 50), currency);
  }
});

/** The text of a confirmation of an order that is worth nothing, changed as told. */
const confirmation = (changes: Partial<NotificationOrder>) =>
  renderMail(
    notificationOf("order_confirmation", { amount_subtotal: 0, amount_total: 0, items: [], ...changes }),
    links,
  )
    .text;

/** The number in a line of a mail, in minor units. */
function amountIn(line: string, digits: number): number {
  const number = line.slice(line.lastIndexOf(":") + 1).replace(/[^\d.-]/g, "");
  return Math.round(Number(number) * 10 ** digits);
}

Deno.test("the lines of a mail add up to its total, whatever is included in what", () => {
  const choices = [0, 1] as const;
  for (const currency of ["usd", "isk", "kwd", "jpy"]) {
    const { digits, step } = currencyRules(currency) ?? { digits: 2, step: 1 };
    for (const [discounted, shipped, taxed, inclusive] of combinations(choices)) {
      const items = [
        { sku: "A", name: "Shirt – White, L", quantity: 3, unit_amount: 1_300 * step, image_url: null },
        { sku: "B", name: "Tie", quantity: 1, unit_amount: 90 * step, image_url: null },
      ];
      const amount_subtotal = 3_990 * step;
      const amount_discount = discounted * 399 * step;
      const amount_shipping = shipped * 500 * step;
      const amount_tax = taxed * 304 * step;
      const amount_total = amount_subtotal - amount_discount + amount_shipping +
        (inclusive === 1 ? 0 : amount_tax);
      const amounts = { amount_subtotal, amount_discount, amount_shipping, amount_tax, amount_total };
      const lines = confirmation({ currency, items, ...amounts }).split("\n");
      const at = lines.findIndex((line) => line.startsWith("Total: "));
      const summands = lines.slice(0, at).filter((line) =>
        /^(\d+ × |Discount:|Shipping:|Tax:|Other:)/.test(line)
      );
      const sum = summands.reduce((whole, line) => whole + amountIn(line, digits), 0);
      const what = JSON.stringify({ currency, ...amounts });
      assert.equal(sum, amountIn(lines[at] ?? "", digits), what);
      assert.equal(sum, amount_total, what);
      assert.equal(lines.some((line) => line.startsWith("Tax:")), taxed === 1 && inclusive === 0, what);
      assert.equal(
        lines.some((line) => line.startsWith("Includes tax:")),
        taxed === 1 && inclusive === 1,
        what,
      );
    }
  }
});

function combinations<T>(choices: readonly [T, T]): [T, T, T, T][] {
  return choices.flatMap((a) =>
    choices.flatMap((b) => choices.flatMap((c) => choices.map((d): [T, T, T, T] => [a, b, c, d])))
  );
}

Deno.test("billLines() adds up for amounts that nobody foresaw", () => {
  let seed = 7;
  const random = (max: number) => (seed = seed * 48_271 % 2_147_483_647) % max;
  for (let round = 0; round < 2_000; round++) {
    const items = [{ quantity: 1 + random(5), unit_amount: random(10_000) }];
    const amounts = {
      items,
      amount_discount: random(3_000),
      amount_shipping: random(2_000),
      amount_tax: random(1_000),
      amount_total: random(20_000),
    };
    const goods = items.reduce((sum, { quantity, unit_amount }) => sum + quantity * unit_amount, 0);
    const lines = billLines(amounts);
    const added = lines.filter(({ included }) => !included);
    assert.equal(added.reduce((sum, { amount }) => sum + amount, goods), amounts.amount_total);
    const tax = lines.filter(({ label }) => /tax/i.test(label)).reduce((sum, { amount }) => sum + amount, 0);
    assert.equal(tax, amounts.amount_tax);
  }
});

Deno.test("a mail writes amounts in the buyer's way where that is its language, whatever way it was asked for", () => {
  const total = (locale: string | null) =>
    confirmation({ currency: "eur", amount_total: 129_000, amount_subtotal: 129_000, locale })
      .split("\n").find((line) => /^(Total|Gesamt): /.test(line))?.replace(/\s/g, " ");
  assert.equal(total("de-AT"), "Gesamt: € 1.290,00");
  assert.equal(total("de-AT"), total("de_AT"));
  assert.equal(total("de-DE-u-nu-thai"), "Gesamt: 1.290,00 €");
  for (const none of [null, "auto", "xx", "posix", "-", "en-u", "fr"]) {
    assert.equal(total(none), "Total: €1,290.00");
  }
});
