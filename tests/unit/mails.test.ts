// cspell:ignore Donaudampfschifffahrtsgesellschaftskapitänsmütze
import assert from "node:assert/strict";
import { languages } from "../../supabase/functions/_shared/mails/languages/mod.ts";
import { renderMail, templateNames } from "../../supabase/functions/_shared/mails/mod.ts";
import { senderOf, textColorOn } from "../../supabase/functions/_shared/mails/shop.ts";
import { declineAdvice } from "../../supabase/functions/_shared/stripe/decline_advice.ts";
import type {
  Notification,
  NotificationOrder,
} from "../../supabase/functions/_shared/database/notifications.ts";
import { links, notificationOf, order, shop } from "../support/mail_fixture.ts";

const tags = Object.keys(languages);

const shipped = (data: Notification["data"], changes: Partial<NotificationOrder> = {}) =>
  renderMail(notificationOf("order_shipped", changes, { data }), links);

const textOf = (template: string, changes: Partial<NotificationOrder> = {}) =>
  renderMail(notificationOf(template, changes), links).text;

Deno.test("a shipping mail shows the tracking number that it was queued with: tried again, it is the same mail", () => {
  const mail = shipped({ carrier: "UPS", tracking_number: "1Z999" });
  assert.match(mail.subject, /is on its way/);
  assert.match(mail.text, /Tracking: UPS 1Z999/);
  assert.doesNotMatch(shipped({ carrier: null, tracking_number: null }).text, /Tracking/);
});

Deno.test("a parcel with a part of the order says what is in it, and that the rest follows or is complete", () => {
  const part = {
    part: true,
    items: [{ name: "Shirt – White, M", quantity: 2 }],
    tracking_url: "https://ups.example/1Z",
  };
  const first = shipped({ ...part, more_to_come: true });
  assert.match(first.subject, /^Part of your order T-100001 is on its way$/);
  assert.match(first.text, /The rest follows[\s\S]*https:\/\/ups\.example\/1Z[\s\S]*2 × Shirt – White, M/);
  const last = shipped({ ...part, more_to_come: false });
  assert.match(last.subject, /^The rest of your order/);
  assert.doesNotMatch(last.text, /follows/);
});

Deno.test("a correction says that the number before it was wrong", () => {
  const mail = shipped({ carrier: "UPS", tracking_number: "1Z999", corrected: true });
  assert.match(mail.subject, /Corrected tracking/);
  assert.match(mail.text, /was wrong[\s\S]*Tracking: UPS 1Z999/);
});

Deno.test("every mail in every language is written in sentences that begin with a capital letter", () => {
  for (const template of templateNames) {
    for (const locale of tags) {
      for (const amount_paid of [0, 1_000]) {
        const text = textOf(template, { amount_paid, locale }).split("\n--\n")[0] ?? "";
        for (const paragraph of text.split("\n\n")) {
          assert.match(paragraph, /^[\p{Lu}\p{N}]/u, `${template} ${locale}: ${paragraph}`);
        }
      }
    }
  }
});

Deno.test("a mail promises neither goods of a cancelled order nor a payment that nobody made", () => {
  assert.doesNotMatch(textOf("duplicate_payment_refunded", { fulfillment_status: "cancelled" }), /goods/);
  assert.match(textOf("duplicate_payment_refunded", { fulfillment_status: "unfulfilled" }), /goods once/);
  assert.match(textOf("order_confirmation", { amount_paid: 0 }), /nothing to pay/);
  assert.doesNotMatch(textOf("order_confirmation", { amount_paid: 0 }), /received your payment/);
  assert.doesNotMatch(textOf("order_cancelled", { amount_paid: 0 }), /money|refund/);
  assert.doesNotMatch(textOf("order_unfulfillable", { amount_paid: 0 }), /money|refund|payment/);
});

Deno.test("a mail speaks the order's language, else the shop's, else English", () => {
  const subject = (locale: string | null, shopLocale: string) =>
    renderMail(
      notificationOf("order_cancelled", { locale }, { shop: { ...shop, locale: shopLocale } }),
      links,
    ).subject;
  assert.match(subject("de-CH", "en"), /storniert/);
  assert.match(subject("en-GB", "de"), /cancelled/);
  assert.match(subject("fr", "de-DE"), /storniert/);
  assert.match(subject(null, "de"), /storniert/);
  assert.match(subject("fr", "fr"), /cancelled/);
});

Deno.test("the confirmation is a receipt: number, day in the shop's time zone, card, statement, delivery, both addresses", () => {
  const { text } = renderMail(
    notificationOf("order_confirmation", {
      customer_name: "Ada Turner",
      shipping_name: "Bea Turner",
      shipping_address: {
        line1: "Hauptstr. 5",
        line2: null,
        city: "Berlin",
        state: null,
        postal_code: "10115",
        country: "DE",
      },
      billing_address: {
        line1: "48 Alder St.",
        line2: "Apt. 4",
        city: "Portland",
        state: "OR",
        postal_code: "97205",
        country: "US",
      },
      card: { brand: "amex", last4: "0005" },
      shipping_method: "Express",
      business: { name: "Turner Ltd", tax_ids: [{ type: "eu_vat", value: "DE123456789" }] },
    }),
    links,
  );
  for (
    const lines of [
      "Order: T-100001\nDate: November 9, 2026\nPayment: American Express ending in 0005\nOn your statement: EXAMPLE OUTFITTERS\nShipping method: Express\nCompany: Turner Ltd\nTax ID: DE123456789",
      "Shirt – White, L\n1 × $10.00: $10.00\nTotal: $10.00",
      "Delivery address:\nBea Turner\nHauptstr. 5\n10115 Berlin\nGermany",
      "Billing address:\nAda Turner\n48 Alder St.\nApt. 4\nPortland, OR 97205\nUnited States",
      "View your order: https://shop.example/orders/T-100001#token=signed.token-1",
      "Questions? Write to us: service@shop.example",
      "Returns: https://shop.example/returns",
    ]
  ) assert(text.includes(`\n${lines}\n`), `${lines}\n--- is not in ---\n${text}`);
});

Deno.test("a mail does without what is not known", () => {
  const bare = {
    ...shop,
    order_url: null,
    returns_url: null,
    privacy_url: null,
    contact_email: null,
    postal_address: null,
  };
  for (const template of templateNames) {
    const mail = renderMail(notificationOf(template, { items: [] }, { shop: bare }), {
      ...links,
      resumeUrl: null,
      orderToken: null,
    });
    for (const body of [mail.text, mail.html]) {
      assert.doesNotMatch(body, /null|undefined|\{\{|\[object/, template);
    }
    assert.doesNotMatch(mail.html, /(src|href)=""/);
  }
});

Deno.test("markup in names, addresses and the shop's own texts is shown as it was typed", () => {
  const typed = `<b onclick="x">A&amp;'`;
  const { html } = renderMail(
    notificationOf("order_confirmation", {
      customer_name: typed,
      shipping_name: typed,
      shipping_address: {
        line1: typed,
        line2: null,
        city: typed,
        state: null,
        postal_code: null,
        country: typed,
      },
      items: [{
        sku: "A",
        name: typed,
        quantity: 1,
        unit_amount: 1_000,
        image_url: `https://shop.example/"><b>.png`,
      }],
    }, { shop: { ...shop, name: typed, postal_address: typed } }),
    links,
  );
  assert.doesNotMatch(html, /<b[ >]|A&amp;'/);
  assert(html.includes("&lt;b onclick=&quot;x&quot;&gt;A&amp;amp;&#39;"));
  assert.match(html, /src="https:\/\/shop\.example\/%22%3E%3Cb%3E\.png"/);
});

Deno.test("pictures come from https or from our own site, each with its name", () => {
  const pictures = (image_url: string | null) => {
    const items = [{ sku: "A", name: "Shirt", quantity: 1, unit_amount: 1_000, image_url }];
    return [
      ...renderMail(notificationOf("order_confirmation", { items }), links).html.matchAll(
        /<img src="([^"]*)" alt="([^"]*)"/g,
      ),
    ]
      .map(([, src, alt]) => [src, alt]);
  };
  assert.deepEqual(pictures("/images/a.png?color=Dark%20Blue"), [[
    "https://shop.example/images/a.png?color=Dark%20Blue",
    "Shirt",
  ]]);
  for (
    const none of [null, "", "http://other.example/a.png", "javascript:alert(1)", "data:image/png;base64,AA"]
  ) {
    assert.deepEqual(pictures(none), [], String(none));
  }
});

Deno.test("fifty lines with long names are not cut off: Gmail shows 102 kB", () => {
  const items = Array.from({ length: 50 }, (_, index) => ({
    sku: `S${index}`,
    name: "Donaudampfschifffahrtsgesellschaftskapitänsmütze".repeat(4).slice(0, 190),
    quantity: 99,
    unit_amount: 99_999_900,
    image_url: `/images/${index}.png`,
  }));
  for (const currency of ["jpy", "kwd", "isk", "idr"]) {
    const { html } = renderMail(notificationOf("order_confirmation", { items, currency }), links);
    assert(new TextEncoder().encode(html).length < 102_000, `${html.length}`);
  }
});

Deno.test("nothing in a mail tells that a card is lost, stolen or suspected", () => {
  const suspicious = [
    "lost_card",
    "stolen_card",
    "pickup_card",
    "restricted_card",
    "fraudulent",
    "merchant_blacklist",
    "security_violation",
    "unheard_of",
  ];
  for (const locale of tags) {
    const told = (decline: NotificationOrder["decline"]) => {
      const { subject, text, html } = renderMail(
        notificationOf("payment_declined", { decline, locale }),
        links,
      );
      return [subject, text, html].join("\n");
    };
    const neutral = told(null);
    for (const decline_code of suspicious) {
      assert.equal(
        told({ failure_code: "card_declined", decline_code, advice_code: null, method: "card" }),
        neutral,
        decline_code,
      );
      assert.equal(
        told({
          failure_code: "card_declined",
          decline_code,
          advice_code: "do_not_try_again",
          method: "card",
        }),
        neutral,
      );
    }
    assert.doesNotMatch(neutral, /lost|stolen|fraud|verloren|gestohlen|betrug/i);
  }
});

Deno.test("who turned back at a bank or wallet is not told of a decline, nor what to ask the bank", () => {
  const decline = (method: string) => ({
    failure_code: "payment_intent_authentication_failure",
    decline_code: null,
    advice_code: null,
    method,
  });
  const told = (method: string) => {
    const { subject, text } = renderMail(
      notificationOf("payment_declined", { decline: decline(method) }),
      links,
    );
    return `${subject}\n${text}`;
  };
  for (const method of ["ideal", "klarna", "paypal"]) {
    assert.match(told(method), /^Your payment for order T-100001 did not go through[\s\S]*can complete it/);
    assert.doesNotMatch(told(method), /declined|your bank/i);
  }
  assert.match(told("card"), /^Your payment for order T-100001 was declined/);
});

Deno.test("a refund that waits for the customer's account says what to do, not that it goes back by itself", () => {
  for (const locale of tags) {
    const { text } = renderMail(
      notificationOf("refund_issued", { locale }, { data: { amount: 1_000, details_needed: true } }),
      links,
    );
    const { detailsNeeded, where, when } = languages[locale as keyof typeof languages].refund_issued;
    const plain = text.replaceAll(/\s+/g, " ");
    assert.ok(plain.includes(detailsNeeded), text);
    assert.ok(!plain.includes(where) && !plain.includes(when), text);
  }
});

Deno.test("declineAdvice() tells what helps, and the bank's last word wins", () => {
  const advice = (
    decline_code: string | null,
    failure_code = "card_declined",
    advice_code: string | null = null,
  ) => declineAdvice({ failure_code, decline_code, advice_code });
  assert.equal(advice(null, "incorrect_cvc"), "check_details");
  assert.equal(advice("authentication_required"), "confirm_with_bank");
  assert.equal(advice("try_again_later"), "try_again");
  assert.equal(advice("insufficient_funds"), "other_card");
  assert.equal(advice("do_not_honor"), "ask_bank");
  assert.equal(advice(null), "declined");
  assert.equal(advice("insufficient_funds", "card_declined", "do_not_try_again"), "declined");
});

Deno.test("a refund says whether all went back or a part", () => {
  const issued = (amount: number) =>
    renderMail(
      notificationOf("refund_issued", { card: { brand: "visa", last4: "4242" } }, { data: { amount } }),
      links,
    ).text;
  assert.match(issued(400), /\$4\.00 of the \$10\.00/);
  assert.match(issued(order.amount_paid), /\$10\.00 for your order T-100001: all/);
  assert.match(issued(400), /back to your Visa ending in 4242/);
});

Deno.test("the sender is EMAIL_FROM, under the shop's name for mail where it has one", () => {
  assert.equal(senderOf("Shop <a@shop.example>", shop), "Shop <a@shop.example>");
  const named = { ...shop, sender_name: 'The "Shop", London' };
  assert.equal(senderOf("Shop <a@shop.example>", named), '"The Shop, London" <a@shop.example>');
  assert.equal(senderOf("a@shop.example", named), '"The Shop, London" <a@shop.example>');
});

Deno.test("the text of a button can be read on the shop's colour", () => {
  assert.equal(textColorOn("#1f2f4f"), "#ffffff");
  assert.equal(textColorOn("#ffd400"), "#1c1c1e");
  assert.equal(textColorOn("#000000"), "#ffffff");
});
