import assert from "node:assert/strict";
import { renderMail, templateNames } from "../../supabase/functions/_shared/mails/mod.ts";
import { oneLine, withoutLinks } from "../../supabase/functions/_shared/text/outside_text.ts";
import { links, notificationOf } from "../support/mail_fixture.ts";

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

const notification = (template: string, text: string) =>
  notificationOf(template, {
    customer_name: text,
    shipping_name: text,
    shipping_address: address(text),
    billing_address: address(text),
    business: { name: text, tax_ids: [{ type: "eu_vat", value: text }] },
    locale: text,
  }, {
    data: {
      amount: 100,
      carrier: text,
      tracking_number: text,
      part: true,
      items: [{ name: text, quantity: 1 }],
    },
  });

Deno.test("no mail carries a link, a line or an essay that a customer put into a name or an address", () => {
  for (const template of templateNames) {
    const plain = renderMail(notification(template, "Ada"), links);
    for (const text of hostile) {
      const mail = renderMail(notification(template, text), links);
      for (const body of [mail.text, mail.html, mail.subject]) {
        const foreign = body.replaceAll(/https:\/\/(shop|ref\.supabase)\.example/g, "").replaceAll(
          /="http:\/\/www\.w3\.org/g,
          "",
        );
        assert.doesNotMatch(
          foreign,
          /evil[.\u3002\uff0e]example|https?:[/\\]|@evil|\u202e/i,
          `${template}: ${text}`,
        );
        assert(body.length < plain.html.length + 5_000, template);
      }
      assert.equal(mail.text.split("\n").length, plain.text.split("\n").length, `${template}: ${text}`);
    }
  }
});

Deno.test("a mail greets by the name that is there", () => {
  const greeted = (customer_name: string | null, shipping_name: string | null) => {
    const { text } = renderMail(notificationOf("order_cancelled", { customer_name, shipping_name }), links);
    return text.split("\n")[0];
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
