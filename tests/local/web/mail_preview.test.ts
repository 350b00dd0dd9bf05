import assert from "node:assert/strict";
import type { Database, Row } from "../../../scripts/local/web/console/database.ts";
import { mailPreview } from "../../../scripts/local/web/mail_preview.ts";
import { templateNames } from "../../../supabase/functions/_shared/mails/mod.ts";
import { order, shop } from "../../support/mail_fixture.ts";

/** A database with one order, whatever is asked for. */
const holding = (rows: Row[]): Database => ({
  query: () => Promise.resolve(rows),
  end: () => Promise.resolve(),
});

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
