import assert from "node:assert/strict";
import { alertFields, alertMessage, staffMail } from "../../supabase/functions/_shared/mails/alert.ts";
import { digestMessage } from "../../supabase/functions/_shared/mails/digest.ts";
import { chatMessage } from "../../supabase/functions/_shared/jobs/tell_staff.ts";
import type { Digest } from "../../supabase/functions/_shared/database/notifications.ts";
import { alertOf, incidentOf, shop } from "../support/mail_fixture.ts";

const to = { siteUrl: "https://shop.example", livemode: false };

Deno.test("an alert says amounts as money, and leaves other numbers as they are", () => {
  assert.deepEqual(alertFields(alertOf({ amount: 1_299_000, currency: "isk", days: 3, job_id: 12 })), [
    "amount: ISK\u00a012,990",
    "currency: isk",
    "days: 3",
    "job_id: 12",
  ]);
  assert.deepEqual(alertFields(alertOf({ amount: 100 })), ["amount: 100"]);
});

Deno.test("an alert carries no e-mail address and no key, however deep it lies", () => {
  const address = ["ada", "example.com"].join("@");
  const key = ["sk", "test", "1234567890abcdef"].join("_");
  const message = alertMessage(
    incidentOf([alertOf({ cause: `told ${address}`, items: [{ note: `key ${key}` }] })]),
    to,
  );
  const { text, html } = staffMail(message, shop, to.siteUrl);
  for (const body of [text, html, JSON.stringify(chatMessage(message))]) {
    assert(!body.includes(address) && !body.includes(key));
  }
});

Deno.test("an alert is one line per field, and calls nobody in a chat", () => {
  const stored = alertOf({ cause: "a\nseverity: info\n<!channel> <https://evil.example|click> & more" });
  assert.equal(alertFields(stored).length, 1);
  assert.doesNotMatch(alertFields(stored)[0] ?? "", /\n/);
  const { text, blocks } = chatMessage(alertMessage(incidentOf([stored]), to));
  assert.doesNotMatch(text, /[<>\n]/);
  // The one link is the runbook's.
  const [link, ...others] = JSON.stringify(blocks).match(/<[^>]*>/g) ?? [];
  assert.deepEqual([link, others], ["<https://shop.example/runbook#refund_refused|What to do>", []]);
});

Deno.test("an alert links to the order, to Stripe and to the runbook, as far as it can", () => {
  const incident = incidentOf([alertOf({ order_number: "T 1", payment_id: "pi_1" })]);
  const links = (changes: Partial<typeof shop>, livemode = false) =>
    alertMessage({ ...incident, shop: { ...shop, ...changes } }, { ...to, livemode }).links.map(({ url }) =>
      url
    );
  assert.deepEqual(links({ admin_order_url: "https://admin.example/{number}" }, true), [
    "https://admin.example/T%201",
    "https://dashboard.stripe.com/payments/pi_1",
    "https://shop.example/runbook#refund_refused",
  ]);
  assert.deepEqual(links({ runbook_url: null }), ["https://dashboard.stripe.com/test/payments/pi_1"]);
});

Deno.test("many alerts of a kind are one message with a count, the latest, and how many more", () => {
  const alerts = [1, 2, 3, 4, 5].map((n) => ({
    ...alertOf({ order_number: `T-${n}`, amount: n }),
    id: `a${n}`,
  }));
  const incident = {
    ...incidentOf(alerts),
    alert_ids: [...alerts.map(({ id }) => id), "a6", "a7"],
    count: 9,
  };
  const { content, links } = alertMessage(incident, to);
  assert.equal(content.subject, "[critical] 7 × Refund refused");
  assert.match(content.paragraphs.at(-1) ?? "", /seen 9 times/);
  assert.deepEqual(content.facts?.map(({ name }) => name), ["T-1", "T-2", "T-3", "T-4", "T-5", "…"]);
  assert.equal(content.facts?.at(-1)?.value, "and 2 more");
  assert.deepEqual(links.map(({ label }) => label), ["What to do"]);
});

Deno.test("that an incident is over is said without what it was about", () => {
  const { content } = alertMessage({ ...incidentOf([alertOf({ cause: "x" })]), over: true }, to);
  assert.equal(content.subject, "[over] Refund refused");
  assert.match(content.paragraphs.join(), /is over: first seen/);
  assert.deepEqual(content.facts, []);
});

Deno.test("a message of many fields keeps to Slack's limits", () => {
  const data = Object.fromEntries(Array.from({ length: 23 }, (_, n) => [`field_${n}`, "x".repeat(5_000)]));
  const { blocks } = chatMessage(alertMessage(incidentOf([alertOf(data)]), to));
  const rows = blocks as { type: string; text?: { text: string }; fields?: { text: string }[] }[];
  assert.deepEqual(rows.map(({ fields }) => fields?.length ?? 0).filter((count) => count > 0), [10, 10, 3]);
  for (const { text, fields = [] } of rows) {
    assert((text?.text.length ?? 0) <= 3_000);
    for (const field of fields) assert(field.text.length <= 2_000);
  }
});

const quiet: Digest = {
  day: "2026-11-26",
  sales: [],
  refunds: [],
  to_ship: 0,
  attention: {},
  disputes: [],
  alerts: {},
  mails_failed: 0,
  shop,
};

Deno.test("the digest says what happened, and nothing of a day without anything", () => {
  assert.equal(digestMessage(quiet), null);
  const message = digestMessage({
    ...quiet,
    sales: [{ currency: "jpy", count: 2, amount: 500 }, { currency: "usd", count: 1, amount: 12_900 }],
    attention: { refund_failed: 1, dispute_open: 2 },
    disputes: [{
      order_number: "T-1",
      amount: 100,
      currency: "usd",
      evidence_due_by: "2026-12-01T23:00:00Z",
    }],
    alerts: { refund_failed: 1 },
    mails_failed: 3,
  });
  assert.equal(message?.content.subject, "Example Outfitters: November 26, 2026");
  assert.deepEqual(message?.content.facts, [
    { name: "Orders paid", value: "2 (¥500), 1 ($129.00)" },
    { name: "Orders that need a person", value: "dispute_open (2), refund_failed (1)" },
    // The shop's clock, not UTC's.
    { name: "Disputes to answer", value: "T-1 ($1.00, December 2, 2026)" },
    { name: "Open alerts", value: "refund_failed (1)" },
    { name: "Mails that did not arrive", value: "3" },
  ]);
});
