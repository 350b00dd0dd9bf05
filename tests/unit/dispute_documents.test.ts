/** Which evidence and which files go with which dispute, and what is in them. */
import assert from "node:assert/strict";
import { evidenceDocuments } from "../../supabase/functions/_shared/jobs/dispute_documents.ts";
import { evidenceParams } from "../../supabase/functions/_shared/jobs/dispute_evidence.ts";
import {
  type Disputed,
  fieldsByMethod,
  fieldsByReason,
} from "../../supabase/functions/_shared/jobs/dispute_fields.ts";
import type { DisputedOrder } from "../../supabase/functions/_shared/database/disputes.ts";
import { writePdf } from "../../supabase/functions/_shared/text/pdf.ts";
import { address, order } from "../support/disputed_order.ts";
import { nonEmpty } from "../support/non_empty.ts";

const { test } = Deno;

/** An order of which there is something to say in every field. */
const full: DisputedOrder = {
  ...order,
  terms: {
    version: "2026-03",
    accepted_at: "2026-11-01T10:04:00+00:00",
    refund_policy: "Within 30 days.\nUnworn.",
    cancellation_policy: "Until it is shipped.",
  },
  twin: {
    number: "KCT-100008",
    paid_at: "2026-11-01T10:09:00+00:00",
    amount_paid: 25_800,
    currency: "usd",
    charge_id: "ch_2",
    shipping_name: "Ada Turner",
    shipping_address: address,
    description: "2 × Coat – Black, L",
    parcels: "UPS 1Z998",
  },
};

const who = ["billing_address", "customer_email_address", "customer_name"];
const what = ["product_description", "receipt", "uncategorized_text"];
const delivery = [
  "shipping_address",
  "shipping_carrier",
  "shipping_date",
  "shipping_documentation",
  "shipping_tracking_number",
];
const refund = ["refund_policy", "refund_policy_disclosure", "refund_refusal_explanation"];
const mails = "customer_communication", ip = "customer_purchase_ip";
const twin = ["duplicate_charge_documentation", "duplicate_charge_explanation", "duplicate_charge_id"];
const cancel = ["cancellation_policy", "cancellation_policy_disclosure", "cancellation_rebuttal"];

/** What is sent beside who bought what. */
const sent: Record<string, string[]> = {
  fraudulent: [ip, mails, ...delivery],
  unrecognized: [ip, mails, ...delivery],
  product_not_received: [ip, mails, ...delivery],
  product_unacceptable: [mails, ...delivery, ...refund],
  credit_not_processed: [mails, ...refund],
  duplicate: [mails, ...twin, ...delivery],
  subscription_canceled: [mails, ...cancel],
  general: [ip, mails, ...delivery, ...refund],
  "what nobody has heard of": [ip, mails, ...delivery, ...refund],
};

function fieldsOf(reason: string, type: string): string[] {
  const dispute = {
    reason,
    payment_method_details: { type } as NonNullable<Disputed["payment_method_details"]>,
    enhanced_eligibility_types: [],
  };
  return [
    ...Object.keys(evidenceParams(full, null, dispute)),
    ...evidenceDocuments(full, dispute).map(({ field }) => field),
  ].sort();
}

for (const [reason, own] of Object.entries(sent)) {
  test(`evidence against "${reason}" has the fields that matter for it, and no other`, () => {
    assert.deepEqual(fieldsOf(reason, "card"), [...who, ...what, ...own].sort());
    for (const method of ["amazon_pay", "klarna", "paypal"]) {
      const all = new Set([...who, ...what, ...own, ...delivery]);
      assert.deepEqual(fieldsOf(reason, method), [...all].sort(), method);
    }
  });
}

test("docs/disputes.md shows the tables of fields as they are", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/disputes.md", import.meta.url));
  const rows = page.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
  for (const [name, fields] of Object.entries({ ...fieldsByReason, ...fieldsByMethod })) {
    const cell = rows.find(([, first]) => first === `\`${name}\``)?.[2] ?? "";
    const named = [...cell.matchAll(/`(\w+)(\*?)`/g)].flatMap(([, field = "", star]) =>
      star === "" ? [field] : [...fields].filter((each) => each.startsWith(field))
    );
    assert.deepEqual(named.sort(), [...fields].sort(), `${name}: ${fields.join(", ")}`);
  }
});

/** The lines of a file, as a reader sees them. */
function linesOf(file: Uint8Array): string[] {
  const text = new TextDecoder("windows-1252").decode(file);
  return [...text.matchAll(/^BT .* \((.*)\) Tj ET$/gm)].map(([, line = ""]) =>
    line.replaceAll(/\\([\\()])/g, "$1").replaceAll(/ {2,}/g, "  ")
  );
}

function documentOf(field: string, of: DisputedOrder = full, reason = "general"): string[] {
  const found = evidenceDocuments(of, { reason }).find((document) => document.field === field);
  assert(found !== undefined, `no ${field}`);
  return linesOf(writePdf(found));
}

test("the receipt says what was bought, what it came to, and how it was paid", () => {
  const refunded = {
    ...full,
    money_back: {
      refunds: [{ amount: 800, currency: "usd", succeeded_at: "2026-11-09T09:00:00+00:00" }],
      returns: [],
    },
  };
  assert.deepEqual(documentOf("receipt", refunded), [
    "Receipt of order KCT-100007",
    "Sold by KCT Menswear",
    "Ordered 2026-11-01 10:00 UTC",
    "Paid  2026-11-01 10:05 UTC, visa card ending in 4242, authenticated by 3-D Secure",
    "2 x Coat – Grey, L (COAT-GRY-L)  258.00 USD",
    "Subtotal  258.00 USD",
    "Discount  -10.00 USD",
    "Shipping  10.00 USD",
    "Total  258.00 USD",
    "Refunded 2026-11-09 09:00 UTC  -8.00 USD",
    "Bill to",
    "Ada Turner",
    "48 Alder Street",
    "97205 Portland OR",
    "US",
    "Ship to",
    "Ada Turner",
    "48 Alder Street",
    "97205 Portland OR",
    "US",
    "E-mail",
    "ada@example.com",
    "Receipt of order KCT-100007 – page 1 of 1",
  ]);
});

test("the other files: parcels, mails, the policy that was accepted, the other order", () => {
  const shipping = documentOf("shipping_documentation");
  assert(shipping.some((line) => /Tracking number 1Z999$/.test(line)));
  assert(
    documentOf("customer_communication").includes(
      "2026-11-01 10:06 UTC  order confirmation to ada@example.com",
    ),
  );
  const policy = documentOf("refund_policy");
  assert.match(policy.slice(1, 3).join(" "), /^From the terms, version 2026-03, which the customer accepted/);
  assert.deepEqual(policy.slice(-3, -1), ["Within 30 days.", "Unworn."]);
  const other = documentOf("duplicate_charge_documentation", full, "duplicate");
  assert(other.includes("Charge ch_2") && other.includes("UPS 1Z998"));
});

test("without parcels, mails, kept terms and another order there is the receipt alone", () => {
  const bare = {
    ...order,
    shipments: [],
    mails: [],
    billing_address: null,
    shipping_address: null,
    email: null,
    payment: null,
  };
  for (const reason of [...Object.keys(fieldsByReason)]) {
    assert.deepEqual(evidenceDocuments(bare, { reason }).map(({ field }) => field), ["receipt"], reason);
  }
  assert.doesNotMatch(documentOf("receipt", bare).join("\n"), /null|undefined|NaN/);
});

test("a refund that was made, goods that came back: what is said of it", () => {
  const said = (money_back: DisputedOrder["money_back"]) =>
    evidenceParams({ ...full, money_back }, null, {
      reason: "credit_not_processed",
      enhanced_eligibility_types: [],
    }).refund_refusal_explanation;
  const refund = (amount: number) => ({ amount, currency: "usd", succeeded_at: "2026-11-09T09:00:00+00:00" });
  const requested_at = "2026-11-08T09:00:00+00:00";
  assert.equal(
    said({ refunds: [refund(25_800)], returns: [] }),
    "$258.00 were refunded on 2026-11-09. That is the whole amount of the order.",
  );
  assert.equal(
    said({ refunds: [refund(800)], returns: [{ requested_at, received_at: null }] }),
    "$8.00 were refunded on 2026-11-09. A return was agreed on 2026-11-08; the goods have not come back.",
  );
  const owed = { refunds: [], returns: [{ requested_at, received_at: "2026-11-10T09:00:00+00:00" }] };
  assert.equal(said(owed), undefined, "a refund may be due: staff say why not");
});

test("writePdf(): the same document is the same bytes, and its table says where each object begins", () => {
  const document = { title: "A (very) \\ odd title", lines: ["one", { left: "Total", right: "1.00 EUR" }] };
  const file = writePdf(document);
  assert.deepEqual(writePdf(document), file);
  const text = new TextDecoder("windows-1252").decode(file);
  const start = Number(/startxref\n(\d+)\n%%EOF\n$/.exec(text)?.[1]);
  assert.match(text.slice(start), /^xref\n0 8\n0000000000 65535 f \n/);
  const entries = [...text.slice(start).matchAll(/^(\d{10}) 00000 n $/gm)].map(([, at]) => Number(at));
  entries.forEach((at, index) =>
    assert(text.slice(at).startsWith(`${index + 1} 0 obj\n`), `object ${index + 1}`)
  );
  assert.equal(entries.length, 7);
  const [, length, stream = ""] = /\/Length (\d+) >>\nstream\n([\s\S]*?)\nendstream/.exec(text) ?? [];
  assert.equal(stream.length, Number(length));
  assert(linesOf(file).includes("A (very) \\ odd title"));
});

test("writePdf(): long lines are broken, long texts go on, and no file has more than twelve pages", () => {
  const long = linesOf(writePdf({ title: "T", lines: ["word ".repeat(40), "x".repeat(200)] }));
  assert(nonEmpty(long).every((line) => line.length <= 90), long.join("\n"));
  assert(long.length > 5);
  const pages = (count: number) => {
    const file = writePdf({ title: "T", lines: Array<string>(count).fill("line") });
    return { lines: linesOf(file), text: new TextDecoder("windows-1252").decode(file) };
  };
  const two = pages(80);
  assert.equal(two.lines.filter((line) => line === "line").length, 80);
  assert(two.lines.includes("T – page 2 of 2"));
  const { text, lines } = pages(5_000);
  assert.equal([...text.matchAll(/\/Type \/Page /g)].length, 12);
  assert.equal(lines.at(-2), "(The rest is left out.)");
});

test("writePdf(): letters that the font has not lose their accent, other writing becomes question marks", () => {
  const [, line] = linesOf(writePdf({ title: "T", lines: ["Ł ř á “10 €” Ü 王\t\u202e!"] }));
  assert.equal(line, "L r á “10 €” Ü ? ?!");
});
