/** A part of tests/integration over the real PostgREST, and which program a stack takes. */
import assert from "node:assert/strict";
import { findPostgrest } from "../../scripts/local/postgrest.ts";
import { startStack } from "../../scripts/local/stack.ts";
import { ADMIN_URL_VARIABLE, adminUrl } from "../../scripts/local/test_database.ts";
import { skipWithout } from "../support/optional_tool.ts";

const { test } = Deno;

const missing = await findPostgrest().then(() => null, (error) => error.message as string);
const ignore = skipWithout("PostgREST", missing);

/**
 * What the functions ask of the REST API: an order from checkout to the paid status page, events received and told in
 * any order, the queue. The rest of the folder asks the same calls about other states.
 */
const PART = [
  "tests/integration/checkout/idempotency.test.ts",
  "tests/integration/order_status.test.ts",
  "tests/integration/webhook/receiver.test.ts",
  "tests/integration/jobs/retry_jobs.test.ts",
];

test({ name: "checkout, webhook, order status and jobs work over the real PostgREST", ignore }, async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "-q", "test", ...PART],
    env: { LOCAL_REST: "postgrest", NO_COLOR: "1", [ADMIN_URL_VARIABLE]: await adminUrl() },
  }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(success, true, output);
  assert.match(output, /\n[1-9]\d* passed, 0 failed\n/);
});

test("a stack takes PostgREST or the layer that stands in for it, and nothing else", async () => {
  Deno.env.set("LOCAL_REST", "postgres");
  const dir = await Deno.makeTempDir();
  try {
    await assert.rejects(
      startStack({ dir, quiet: true, databaseUrl: "postgresql://nobody@127.0.0.1:1/none" }),
      /LOCAL_REST=postgres is not known: leave it empty, or set it to postgrest/,
    );
  } finally {
    Deno.env.delete("LOCAL_REST");
    await Deno.remove(dir, { recursive: true });
  }
});
