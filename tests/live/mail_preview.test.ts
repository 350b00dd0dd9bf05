import assert from "node:assert/strict";
import { mailPreview, type Reader } from "../../scripts/lib/mail_preview.ts";
import { templateNames } from "../../supabase/functions/_shared/mails/mod.ts";
import { checkout } from "../integration/checkout/shop.ts";
import { testStack } from "../support/stack.ts";
import { order, shop } from "../support/mail_fixture.ts";

/** A database with one order, whatever is asked for. */
const holding = (rows: Record<string, unknown>[]): Reader => ({ query: () => Promise.resolve(rows) });

Deno.test("preview renders every template for an order that has had no such mail, in any language", async () => {
  const preview = mailPreview(holding([{ order, shop, data: {} }]));
  for (const template of templateNames) {
    const subject = async (locale: string) =>
      (await preview({ template, order: "", locale }, "https://shop.example"))?.subject;
    assert.match(await subject("en") ?? "", /T-100001/, template);
    assert.notEqual(await subject("en"), await subject("de"), template);
  }
});

Deno.test("preview has nothing for a template or an order that does not exist", async () => {
  const request = { template: "order_confirmation", order: "T-1", locale: "" };
  assert.equal(await mailPreview(holding([]))(request, "https://shop.example"), null);
  const preview = mailPreview(holding([{ order, shop, data: {} }]));
  assert.equal(await preview({ ...request, template: "toString" }, "https://shop.example"), null);
});

Deno.test("deno task preview prints a mail of an order on a running stack, and writes its HTML", async () => {
  await using stack = await testStack();
  const { order_number: number } = (await checkout(stack, {})).body;
  const html = await Deno.makeTempFile({ suffix: ".html" });
  const preview = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "-A",
        new URL("../../scripts/live/preview.ts", import.meta.url).pathname,
        ...args,
      ],
      env: { NO_COLOR: "1", LOCAL_DIR: stack.dir, SUPABASE_URL: "", SUPABASE_SECRET_KEYS: "" },
    }).output();
    const text = new TextDecoder();
    return { code, out: text.decode(stdout), err: text.decode(stderr) };
  };
  try {
    const shipped = await preview("order_shipped", number, "--html", html);
    assert.equal(shipped.code, 0, shipped.err);
    assert.match(shipped.out, new RegExp(`^Subject: .*${number}`));
    assert.match(await Deno.readTextFile(html), /<html/);
    const german = await preview("order_shipped", number, "--locale", "de");
    assert.match(german.out, new RegExp(`^Subject: .*${number}`));
    assert.notEqual(german.out, shipped.out);
    const unknown = await preview("order_shipped", "KCT-1");
    assert.deepEqual([unknown.code, unknown.err], [1, "There is no order KCT-1\n"]);
    const misspelt = await preview("order_sent", number);
    assert.equal(misspelt.code, 2);
    assert.match(misspelt.err, /No template order_sent: one of .*order_shipped/);
  } finally {
    await Deno.remove(html);
  }
});
