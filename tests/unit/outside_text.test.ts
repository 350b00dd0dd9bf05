import assert from "node:assert/strict";
import { renderMail, templateNames } from "../../supabase/functions/_shared/mails/mod.ts";
import { oneLine, withoutLinks } from "../../supabase/functions/_shared/text/outside_text.ts";
import type { Notification } from "../../supabase/functions/_shared/database/notifications.ts";

/** What mail programs make links of, all of it on a host of nobody. */
const hostile = [
  "https://evil.example/pay",
  "HTTP:\\\\evil.example",
  "www.evil.example",
  "evil.example/refund",
  "refund@evil.example",
  "a\r\nBcc: refund@evil.example",
  "\u202eelpmaxe.live",
  "evil\u3002example",
  "evil\uff0eexample",
  `x${"y".repeat(5_000)}.evil.example`,
  "\n\nYour refund is waiting:\nhttps://evil.example",
];

const address = (text: string) => ({
  line1: text,
  line2: text,
  city: text,
  state: text,
  postal_code: text,
  country: "US",
});

function notification(template: string, text: string): Notification {
  return {
    id: "n",
    order_id: "o",
    template,
    recipient: null,
    status: "queued",
    data: { amount: 100, carrier: text, tracking_number: text },
    problem: null,
    order: {
      number: "KCT-100001",
      status: "paid",
      fulfillment_status: "fulfilled",
      currency: "usd",
      amount_subtotal: 100,
      amount_discount: 0,
      amount_shipping: 0,
      amount_tax: 0,
      amount_total: 100,
      amount_refunded: 0,
      amount_paid: 100,
      customer_name: text,
      shipping_name: text,
      shipping_address: address(text),
      locale: text,
      paid_at: null,
      items: [{ sku: "A", name: "Shirt", quantity: 1, unit_amount: 100 }],
    },
  };
}

Deno.test("no mail carries a link, a line or an essay that a customer put into a name or an address", () => {
  const links = { siteUrl: "https://shop.example/store", resumeUrl: "https://shop.example/resume" };
  for (const template of templateNames) {
    const plain = renderMail(notification(template, "Ada"), links).text.split("\n").length;
    for (const text of hostile) {
      const mail = renderMail(notification(template, text), links);
      for (const body of [mail.text, mail.html, mail.subject]) {
        const foreign = body.replaceAll("https://shop.example", "");
        assert.doesNotMatch(
          foreign,
          /evil[.\u3002\uff0e]example|https?:[/\\]|@evil|\u202e/i,
          `${template}: ${text}`,
        );
        assert(body.length < 5_000, template);
      }
      assert.equal(mail.text.split("\n").length, plain, `${template}: ${text}`);
    }
  }
});

Deno.test("a mail greets by the name that is there", () => {
  const links = { siteUrl: "https://shop.example", resumeUrl: null };
  const greeted = (customer_name: string | null, shipping_name: string | null) => {
    const { order, ...rest } = notification("order_cancelled", "");
    return renderMail({ ...rest, order: { ...order, customer_name, shipping_name } }, links).text.split(
      "\n",
    )[0];
  };
  assert.equal(greeted("Ada", "Bea"), "Dear Ada,");
  assert.equal(greeted(" ", "Bea"), "Dear Bea,");
  assert.equal(greeted(null, "\u200b"), "Hello,");
});

Deno.test("names and addresses that are meant to be read stay readable", () => {
  const read: [string, string][] = [
    ["Ada Turner", "Ada Turner"],
    ["  Ada\t Turner ", "Ada Turner"],
    ["J.R.R. Tolkien", "J. R. R. Tolkien"],
    ["O'Neill-Müller, Jr.", "O'Neill-Müller, Jr."],
    ["Hauptstr. 12 / 3.5", "Hauptstr. 12 / 3.5"],
    ["48 Alder St., Apt. 4", "48 Alder St., Apt. 4"],
    ["می‌خواهم", "می‌خواهم"],
    ["山田 太郎", "山田 太郎"],
  ];
  for (const [given, expected] of read) assert.equal(withoutLinks(given), expected);
});

Deno.test("oneLine() bounds by characters and leaves nothing of a blank text", () => {
  assert.equal([...oneLine("🎩".repeat(500))].length, 100);
  assert(oneLine("🎩".repeat(500)).isWellFormed());
  assert.equal(oneLine(" \u00a0\u200b\n"), "");
});
