import assert from "node:assert/strict";
import { planShoppers } from "../../scripts/quality/bench/flash/plan.ts";

Deno.test("a flash sale of a few shoppers is sold exactly, and whoever is sent away is told for how long", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "scripts/quality/bench/flash.ts", "--shoppers", "40", "--seconds", "1"],
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  const out = text.decode(stdout);
  assert.equal(code, 0, `${out}${text.decode(stderr)}`);
  assert.match(out, /^sold exactly$/m);
  assert.match(out, /^\d+\.\d s: \d+ of 40 gone, \d+ pages, \d+ paid, .* \d+ deliveries and \d+ jobs wait$/m);
  assert.match(out, /^ {2}gave up +0$/m);
  for (const part of ["Postgres", "functions", "API gateway", "Stripe stand-in", "shoppers"]) {
    assert.match(out, new RegExp(`^${part} +\\d+\\.\\d `, "m"), part);
  }
});

Deno.test("a seed repeats its shoppers", () => {
  const plan = (seed: number) => planShoppers({ shoppers: 50, seconds: 10, seed });
  assert.deepEqual(plan(7), plan(7));
  assert.notDeepEqual(plan(7), plan(8));
});
