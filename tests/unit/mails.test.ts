import assert from "node:assert/strict";
import { renderMail, templateNames } from "../../supabase/functions/_shared/mails/mod.ts";
import type { Notification } from "../../supabase/functions/_shared/database/notifications.ts";

function shipped(data: Notification["data"]): Notification {
  return {
    id: crypto.randomUUID(),
    order_id: crypto.randomUUID(),
    template: "order_shipped",
    recipient: "ada@example.com",
    status: "queued",
    data,
    problem: null,
    order: {
      number: "KCT-100001",
      status: "paid",
      fulfillment_status: "fulfilled",
      currency: "usd",
      amount_subtotal: 1_000,
      amount_discount: 0,
      amount_shipping: 0,
      amount_tax: 0,
      amount_total: 1_000,
      amount_refunded: 0,
      amount_paid: 1_000,
      customer_name: "Ada",
      shipping_name: "Ada",
      shipping_address: null,
      locale: "en",
      paid_at: null,
      items: [],
    },
  };
}

const render = (data: Notification["data"]) =>
  renderMail(shipped(data), { siteUrl: "https://shop.example", resumeUrl: null });

Deno.test("a shipping mail shows the tracking number that it was queued with: tried again, it is the same mail", () => {
  const mail = render({ carrier: "UPS", tracking_number: "1Z999" });
  assert.match(mail.subject, /is on its way/);
  assert.match(mail.text, /Tracking: UPS 1Z999/);
  assert.doesNotMatch(render({ carrier: null, tracking_number: null }).text, /Tracking/);
});

Deno.test("a parcel with a part of the order says what is in it, and that the rest follows or is complete", () => {
  const part = {
    part: true,
    items: [{ name: "Shirt – White, M", quantity: 2 }],
    tracking_url: "https://ups.example/1Z",
  };
  const first = render({ ...part, more_to_come: true });
  assert.match(first.subject, /^Part of your order KCT-100001 is on its way$/);
  assert.match(first.text, /2 × Shirt – White, M[\s\S]*The rest follows[\s\S]*https:\/\/ups\.example\/1Z/);
  const last = render({ ...part, more_to_come: false });
  assert.match(last.subject, /^The rest of your order/);
  assert.doesNotMatch(last.text, /follows/);
});

Deno.test("a correction says that the number before it was wrong", () => {
  const mail = render({ carrier: "UPS", tracking_number: "1Z999", corrected: true });
  assert.match(mail.subject, /Corrected tracking/);
  assert.match(mail.text, /was wrong[\s\S]*Tracking: UPS 1Z999/);
});

Deno.test("every mail is written in sentences that begin with a capital letter", () => {
  for (const template of templateNames) {
    for (const amount_paid of [0, 1_000]) {
      const notification = shipped({});
      const mail = renderMail(
        { ...notification, template, order: { ...notification.order, amount_paid } },
        { siteUrl: "https://shop.example", resumeUrl: "https://shop.example/resume" },
      );
      for (const paragraph of mail.text.split("\n\n")) {
        assert.match(paragraph, /^[\p{Lu}\p{N}]/u, `${template}: ${paragraph}`);
      }
    }
  }
});

Deno.test("a mail promises neither goods of a cancelled order nor a payment that nobody made", () => {
  const notification = shipped({});
  const render = (template: string, changes: Partial<Notification["order"]>) =>
    renderMail(
      { ...notification, template, order: { ...notification.order, ...changes } },
      { siteUrl: "https://shop.example", resumeUrl: null },
    ).text;
  assert.doesNotMatch(render("duplicate_payment_refunded", { fulfillment_status: "cancelled" }), /goods/);
  assert.match(render("duplicate_payment_refunded", { fulfillment_status: "unfulfilled" }), /goods once/);
  assert.match(render("order_confirmation", { amount_paid: 0 }), /nothing to pay/);
  assert.doesNotMatch(render("order_confirmation", { amount_paid: 0 }), /received your payment/);
  assert.doesNotMatch(render("order_cancelled", { amount_paid: 0 }), /money|refund/);
  assert.doesNotMatch(render("order_unfulfillable", { amount_paid: 0 }), /money|refund|payment/);
});
