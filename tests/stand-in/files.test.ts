/** Files: what Stripe takes for which purpose, what is answered, and what disputes do with them. */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { startStripe } from "../../scripts/stand-in/server.ts";
import { createStripe } from "../../supabase/functions/_shared/stripe/client.ts";
import { idOf, payIntent, refusal, standIn, TEST_KEY } from "./stand_in.ts";

const stand = await standIn();
const { stripe } = stand;
Deno.test.afterAll(() => stand.stop());

const { test } = Deno;

const bytesOf = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
/** The smallest that is taken for a PDF, with this much in it. */
const pdf = (size = 0, pages = 1) =>
  bytesOf(`%PDF-1.4\n\xff\x00\r\n--x\r\n${"<< /Type /Page >>\n".repeat(pages)}${" ".repeat(size)}%%EOF`);

function send(
  data: Uint8Array,
  purpose: Stripe.FileCreateParams.Purpose = "dispute_evidence",
  options: Stripe.RequestOptions = {},
) {
  const file = { data, name: "receipt.pdf", type: "application/pdf" };
  return stripe.files.create({ file, purpose }, options);
}

async function disputed(traits: object = {}): Promise<string> {
  const charge = idOf((await payIntent(stripe, "pm_card_visa")).latest_charge);
  const { body } = await stand.control<Stripe.Dispute>("POST", "dispute", { charge, ...traits });
  return body.id;
}

test("a file is kept as it was sent, whatever is in it, and found again", async () => {
  const data = pdf(3);
  const file = await send(data);
  assert.match(file.id, /^file_/);
  const { filename, purpose, size, type, title } = file;
  assert.deepEqual({ filename, purpose, size, type, title }, {
    filename: "receipt.pdf",
    purpose: "dispute_evidence",
    size: data.length,
    type: "pdf",
    title: null,
  });
  assert.equal((file.expires_at ?? 0) - file.created, 270 * 24 * 3600, "evidence is kept for nine months");
  assert.equal((await stripe.files.retrieve(file.id)).size, data.length);
  const listed = await stripe.files.list({ purpose: "dispute_evidence", limit: 1 });
  assert.equal(listed.data[0]?.id, file.id);
  assert.equal(file.url, `${stand.url}/v1/files/${file.id}/contents`);
  const contents = await fetch(file.url ?? "", { headers: { authorization: `Bearer ${TEST_KEY}` } });
  assert.equal(contents.headers.get("content-type"), "application/pdf");
  assert.deepEqual(new Uint8Array(await contents.arrayBuffer()), data);
  const stranger = await fetch(file.url ?? "");
  await stranger.body?.cancel();
  assert.equal(stranger.status, 401);
});

test("the same key gets the same file, other contents under it are refused", async () => {
  const options = { idempotencyKey: crypto.randomUUID() };
  const first = await send(pdf(1), "dispute_evidence", options);
  assert.equal((await send(pdf(1), "dispute_evidence", options)).id, first.id);
  const other = await refusal(send(pdf(2), "dispute_evidence", options));
  assert.equal(other.rawType, "idempotency_error");
});

for (
  const [what, sent, message] of [
    ["a purpose that there is not", { purpose: "evidence" }, /^Invalid purpose: must be one of /],
    ["a name in place of the file", { file: "receipt.pdf" }, /^Invalid hash$/],
    [
      "a text file",
      { file: { data: "words", name: "a.pdf", type: "application/pdf" } },
      /^We don't currently/,
    ],
    ["6 MB", { file: { data: pdf(6_000_000), name: "a.pdf" } }, /^The file you uploaded was too large\./],
    ["51 pages", { file: { data: pdf(0, 51), name: "a.pdf" } }, /^The file you uploaded was too long\./],
    ["a PDF as a logo", { purpose: "business_logo" }, /mimetypes: image\/gif, image\/jpeg, image\/png\.$/],
  ] as const
) {
  test(`a file is refused: ${what}`, async () => {
    const params = { file: { data: pdf(), name: "a.pdf" }, purpose: "dispute_evidence", ...sent };
    const refused = await refusal(stripe.files.create(params as Stripe.FileCreateParams));
    assert.equal(refused.statusCode, 400);
    assert.match(refused.message, message);
  });
}

test("what is missing is named, also in a body that is no multipart body", async () => {
  const messageOf = async (body: BodyInit, headers: Record<string, string> = {}) => {
    const response = await fetch(`${stand.url}/v1/files`, {
      method: "POST",
      headers: { authorization: `Bearer ${TEST_KEY}`, ...headers },
      body,
    });
    assert.equal(response.status, 400);
    return (await response.json()).error.message;
  };
  const form = (fields: Record<string, string | Blob>) => {
    const body = new FormData();
    for (const [name, value] of Object.entries(fields)) body.append(name, value);
    return body;
  };
  assert.equal(await messageOf(form({ file: new Blob([pdf()]) })), "Missing required param: purpose.");
  assert.equal(await messageOf(form({ purpose: "dispute_evidence" })), "Missing required param: file.");
  assert.match(
    await messageOf("nonsense", { "content-type": "multipart/form-data; boundary=x" }),
    /^Missing required param/,
  );
  assert.equal(
    await messageOf(new URLSearchParams({ purpose: "dispute_evidence", file: "x" })),
    "Invalid hash",
  );
});

test("purposes of other products are refused by name", async () => {
  assert.equal((await refusal(send(pdf(), "terminal_android_apk"))).statusCode, 501);
});

test("a link shows a file to everybody until it ends", async () => {
  const file = await stripe.files.create({
    file: { data: pdf(5), name: "a.pdf" },
    purpose: "dispute_evidence",
    file_link_data: { create: true, metadata: { of: "order" } },
  });
  const [link] = file.links?.data ?? [];
  assert.equal(link?.metadata["of"], "order");
  const seen = await fetch(link?.url ?? "");
  assert.deepEqual(new Uint8Array(await seen.arrayBuffer()), pdf(5));
  const second = await stripe.fileLinks.create({ file: file.id });
  assert.deepEqual((await stripe.fileLinks.list({ file: file.id })).data.map(({ id }) => id), [
    second.id,
    link?.id,
  ]);
  const ended = await stripe.fileLinks.update(second.id, { expires_at: "now" });
  assert.equal(ended.expired, true);
  const gone = await fetch(second.url ?? "");
  await gone.body?.cancel();
  assert.equal(gone.status, 404);
  assert.match(
    (await refusal(stripe.fileLinks.create({ file: "file_none" }))).message,
    /^No such file upload/,
  );
  const past = stripe.fileLinks.create({ file: file.id, expires_at: 1 });
  assert.match((await refusal(past)).message, /must be in the future/);
});

test("evidence names files that were uploaded for disputes, and nothing else", async () => {
  const id = await disputed();
  const stage = (evidence: Stripe.DisputeUpdateParams.Evidence) =>
    stripe.disputes.update(id, { evidence, submit: false });
  for (const receipt of ["file_none", "It was paid."]) {
    const refused = await refusal(stage({ receipt }));
    assert.deepEqual([refused.code, refused.param, refused.message], [
      "resource_missing",
      "evidence[receipt]",
      `No such file upload: '${receipt}'`,
    ]);
  }
  const other = await send(pdf(), "identity_document");
  assert.match((await refusal(stage({ receipt: other.id }))).message, /must have the purpose/);
  const file = await send(pdf(7));
  const staged = await stage({ receipt: file.id, refund_policy: file.id });
  assert.deepEqual([staged.evidence.receipt, staged.evidence_details.has_evidence], [file.id, true]);
  const expanded = await stripe.disputes.retrieve(id, { expand: ["evidence.receipt"] });
  assert.equal((expanded.evidence.receipt as Stripe.File).size, file.size);
  assert.equal((await stage({ receipt: "" })).evidence.receipt, null);
});

test("the files of a dispute are 4.5 MB together at most", async () => {
  const id = await disputed();
  const [first, second] = [await send(pdf(2_400_000)), await send(pdf(2_500_000))];
  await stripe.disputes.update(id, { evidence: { receipt: first.id }, submit: false });
  const refused = await refusal(stripe.disputes.update(id, { evidence: { uncategorized_file: second.id } }));
  assert.match(refused.message, /will exceed the limit for a dispute's total size/);
  const { evidence, status } = await stripe.disputes.retrieve(id);
  assert.deepEqual([evidence.uncategorized_file, status], [null, "needs_response"], "nothing is saved");
});

test("an appeal takes supporting files beside its reason, and keeps what is not named", async () => {
  const id = await disputed();
  await stripe.disputes.close(id);
  await stand.control("POST", "appeal", { dispute: id });
  const appeal = (card: Stripe.DisputeUpdateParams.Evidence.Appeal.Card) =>
    stripe.disputes.update(id, { evidence: { appeal: { card } }, submit: false });
  const refused = await refusal(appeal({ supporting_files: ["file_none"] }));
  assert.equal(refused.param, "evidence[appeal][card][supporting_files][0]");
  const file = await send(pdf(9));
  await appeal({ supporting_files: [file.id] });
  const { evidence } = await appeal({ reason_for_filing: "The bank read another order." });
  assert.deepEqual(evidence.appeal, {
    card: { reason_for_filing: "The bank read another order.", supporting_files: [file.id] },
  });
});

test("a restricted key needs a right of its own for files", async () => {
  const [reads, nothing] = ["FilesRead000", "FilesNone000"].map((tag) => ["rk", "test", tag].join("_"));
  const restrictedKeys = { [reads ?? ""]: ["rak_file_read"], [nothing ?? ""]: ["rak_dispute_write"] };
  const other = await startStripe({ port: 0, dir: null, restrictedKeys });
  try {
    const client = (key = "") => createStripe({ stripeSecretKey: key, stripeApiBase: new URL(other.url) });
    await client(reads).files.list();
    const file = { data: pdf(), name: "a.pdf" };
    const refused = await refusal(client(reads).files.create({ file, purpose: "dispute_evidence" }));
    assert.match(refused.message, /Having the 'rak_file_write' permission/);
    assert.match((await refusal(client(nothing).files.list())).message, /'rak_file_read' permission/);
  } finally {
    await other.stop();
  }
});
