/** `deno task evidence`: the page that staff look at before an answer is final. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type Stripe from "stripe";
import { previewPage } from "../../scripts/live/dispute_preview/page.ts";
import { type Preview, previewOf } from "../../scripts/live/dispute_preview/preview.ts";
import { order } from "../support/disputed_order.ts";
import { testStack } from "../support/stack.ts";
import { TestBrowser, withoutBrowser } from "../e2e/browser.ts";
import { jobContext } from "../integration/jobs/shop.ts";
import { disputeWorld } from "../integration/disputes/disputed.ts";

const { test } = Deno;

const png = Uint8Array.fromBase64(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
);

/** A dispute as far as a preview reads it. */
const dispute = (changes: object = {}) =>
  ({
    id: "du_1",
    amount: 25_800,
    currency: "usd",
    reason: "fraudulent",
    status: "needs_response",
    enhanced_eligibility_types: [],
    evidence: { customer_name: "Jenny Rosen", enhanced_evidence: {} },
    evidence_details: { due_by: 1_795_000_000, has_evidence: false, enhanced_eligibility: {} },
    intended_submission_method: null,
    metadata: {},
    payment_method_details: { type: "card" },
    ...changes,
  }) as unknown as Stripe.Dispute;

const noFile = () => Promise.reject(new Error("no file is to be read"));

/** Who has filled in what. */
const told = ({ texts, files }: Preview) =>
  Object.fromEntries([...texts, ...files].map(({ field, whose }) => [field, whose]));

test("a preview says of each field whose it is, what is missing, and what a person's file holds", async () => {
  const fresh = await previewOf(dispute(), { ...order, billing_address: null }, "She thanked us.", noFile);
  const { shipping_documentation, customer_name, uncategorized_text } = told(fresh);
  assert.deepEqual([shipping_documentation, customer_name, uncategorized_text], ["shop", "shop", "shop"]);
  assert.deepEqual(fresh.missing, ["billing_address"]);
  assert.match(
    fresh.texts.find(({ field }) => field === "uncategorized_text")?.text ?? "",
    /^She thanked us\./,
  );

  const evidence = { receipt: "file_1", uncategorized_text: "By hand.", enhanced_evidence: {} };
  const evidence_details = { ...dispute().evidence_details, has_evidence: true };
  const edited = await previewOf(
    dispute({ evidence, evidence_details }),
    order,
    null,
    (id) => Promise.resolve({ name: `${id}.png`, bytes: png }),
  );
  const { receipt, uncategorized_text: story, customer_email_address } = told(edited);
  assert.deepEqual([receipt, story, customer_email_address], ["person", "person", "shop"]);
  assert.equal(edited.texts.find(({ field }) => field === "uncategorized_text")?.text, "By hand.");
  assert.match(previewPage(edited), /<img alt="file_1\.png" src="data:image\/png;base64,\w/);
});

test("a preview of an appeal shows the appeal, one that cannot be answered says so, one that was answered what was sent", async () => {
  const reason_for_filing = "By hand.";
  const appeal = await previewOf(
    dispute({
      status: "appeal_needs_response",
      evidence: { receipt: "file_old", appeal: { card: { reason_for_filing } }, enhanced_evidence: {} },
      evidence_details: { ...dispute().evidence_details, has_evidence: true },
    }),
    order,
    null,
    noFile,
  );
  assert.deepEqual(appeal.texts, [
    { field: "appeal.card.reason_for_filing", text: "By hand.", whose: "person" },
  ]);
  assert.equal(appeal.files[0]?.field, "appeal.card.supporting_files.0");
  const klarna = await previewOf(
    dispute({ status: "warning_needs_response", payment_method_details: { type: "klarna" } }),
    order,
    null,
    noFile,
  );
  assert.deepEqual([klarna.obstacle, klarna.files], ["no_field", []]);
  assert.match(previewPage(klarna), /Stripe takes no evidence in this round/);
  const answered = await previewOf(dispute({ status: "under_review" }), order, null, noFile);
  assert.match(previewPage(answered), /<h1>What the bank has been sent<\/h1>/);
});

// WRITE_PICTURE=docs/disputes/preview.png writes the picture of docs/disputes.md.
test("the page shows everything in a browser, runs nothing, and takes no text for markup", async () => {
  if (withoutBrowser()) return;
  const forged = { ...order, shipping_name: '<img src=x onerror="document.title=1">Ada' };
  const preview = await previewOf(dispute(), forged, "<script>document.title = 1</script> & so on", noFile);
  const folder = await Deno.makeTempDir();
  await using browser = await TestBrowser.launch();
  try {
    const path = join(folder, "index.html");
    await Deno.writeTextFile(path, previewPage(preview));
    const page = await browser.newShopper(900);
    await page.goto(pathToFileURL(path).href);
    assert.equal(await page.title(), "Evidence du_1");
    await page.getByRole("heading", { name: "What the bank will see" }).waitFor();
    await page.getByText("$258.00 · fraudulent · card · order KCT-100007 · answer by").waitFor();
    const fields = await page.locator("dt").allTextContents();
    assert.deepEqual(fields.length, preview.texts.length);
    await page.getByText("<script>document.title = 1</script> & so on").waitFor();
    const sheets = await page.locator(".sheet").allTextContents();
    assert.deepEqual(sheets.length, 3);
    assert.match(sheets[0] ?? "", /^Receipt of order KCT-100007\n[\s\S]*Total +258\.00 USD/);
    assert.equal(await page.locator("img, script").count(), 0);
    const widest = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
    assert(widest <= 0, "nothing runs out of the page");
    const picture = Deno.env.get("WRITE_PICTURE");
    if (picture !== undefined) {
      await Deno.writeTextFile(
        path,
        previewPage(await previewOf(dispute(), order, "She thanked us.", noFile)),
      );
      await page.goto(pathToFileURL(path).href);
      await page.screenshot({ path: picture, fullPage: true });
    }
    assert.deepEqual(browser.problems, []);
  } finally {
    await browser.closePages();
    await Deno.remove(folder, { recursive: true });
  }
});

test("deno task evidence writes the page of a dispute on a running stack, and it is what is sent then", async () => {
  await using stack = await testStack();
  const context = jobContext(stack);
  const { stripe } = context;
  const { disputedOrder, run } = disputeWorld(stack, context);
  const { dispute: id, order_number } = await disputedOrder();
  const file = { data: png, name: "signature.png", type: "image/png" };
  const mine = (await stripe.files.create({ file, purpose: "dispute_evidence" })).id;
  await stripe.disputes.update(id, {
    evidence: { customer_signature: mine, uncategorized_text: "By hand." },
    submit: false,
  });
  const folder = await Deno.makeTempDir();
  const evidence = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "-A",
        new URL("../../scripts/live/evidence.ts", import.meta.url).pathname,
        ...args,
      ],
      env: { NO_COLOR: "1", LOCAL_DIR: stack.dir, SUPABASE_URL: "", SUPABASE_SECRET_KEYS: "" },
    }).output();
    const text = new TextDecoder();
    return { code, out: text.decode(stdout).trim(), err: text.decode(stderr) };
  };
  try {
    const written = await evidence(id, "--note", "She thanked us.", "--out", folder);
    assert.equal(written.code, 0, written.err);
    assert.equal(written.out, join(folder, "index.html"));
    const page = await Deno.readTextFile(written.out);
    assert.match(page, new RegExp(`order ${order_number}`));
    assert.match(page, /She thanked us\.\n\nBy hand\./);
    assert.deepEqual(await Deno.readFile(join(folder, `${mine}.png`)), png);
    const receipt = await Deno.readFile(join(folder, "receipt.pdf"));
    const before = await stripe.disputes.retrieve(id);
    assert.equal(before.evidence.receipt, null, "nothing is changed by looking");

    await run("submit_dispute_evidence", { dispute_id: id, note: "She thanked us.", submit: true });
    const { evidence: sent, status } = await stripe.disputes.retrieve(id);
    assert.equal(status, "under_review");
    const { url } = await stripe.files.retrieve(String(sent.receipt));
    const headers = { authorization: `Bearer ${stack.stripe_secret_key}` };
    assert.deepEqual(await (await fetch(url ?? "", { headers })).bytes(), receipt);
    const texts = Object.values(sent).filter((value): value is string =>
      typeof value === "string" && !value.startsWith("file_")
    );
    const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    for (const text of texts) assert(page.includes(`<dd>${escaped(text)}</dd>`), text);

    const unknown = await evidence("du_none");
    assert.deepEqual([unknown.code, /knows no dispute du_none/.test(unknown.err)], [1, true], unknown.err);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
