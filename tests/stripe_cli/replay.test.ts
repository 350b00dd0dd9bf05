import assert from "node:assert/strict";
import { findStripeCli } from "../../scripts/lib/stripe_cli.ts";
import { Report } from "../../scripts/quality/replay/report.ts";
import { testStack } from "../support/stack.ts";

const { test } = Deno;

const cliPath = await findStripeCli();
if (cliPath === null) {
  const reason = "the Stripe CLI is not available: npx could not fetch it, and STRIPE_CLI_PATH is not set";
  if (Deno.env.get("CI") === "true") throw new Error(reason);
  console.log(`skipped: ${reason}`);
}
const ignore = cliPath === null;

async function replay(env: Record<string, string>): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "-q", "replay"],
    env: { STRIPE_SECRET_KEY: "", STRIPE_CLI_PATH: cliPath ?? "", ...env },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

test(
  { name: "deno task replay starts a stack where none runs, and finds no difference", ignore },
  async () => {
    const nothing = await Deno.makeTempDir();
    try {
      const { code, output } = await replay({ LOCAL_DIR: nothing });
      assert.equal(code, 0, output);
      assert.match(output, /through a stack of its own, with the Stripe stand-in/);
      assert.match(output, /\n\d\d checks, 0 differences\n/);
      assert.deepEqual([...Deno.readDirSync(nothing)], []);
    } finally {
      await Deno.remove(nothing, { recursive: true });
    }
  },
);

test(
  { name: "deno task replay joins a running stack, names each difference and exits 1", ignore },
  async () => {
    await using stack = await testStack();
    const faults = { api: [{ match: "POST /v1/products", status: 400 }] };
    const set = await fetch(`${stack.stripe_url}/_control/faults`, {
      method: "POST",
      body: JSON.stringify(faults),
    });
    await set.body?.cancel();
    const { code, output } = await replay({ LOCAL_DIR: stack.dir });
    assert.equal(code, 1, output);
    assert.match(output, new RegExp(`the stack of process ${stack.pid}`));
    const broken = output.split("\n").filter((line) => line.startsWith("DIFFERS"));
    assert.equal(broken.length, 4, output);
    for (const line of broken) {
      assert.match(line, /trigger checkout\.session\.\w+ .*the CLI failed: .*\(fault injection\)/);
    }
    const [row] = await stack.sql`select count(*)::int as paid from public.orders where status = 'paid'`;
    assert.ok(row?.paid >= 2);
  },
);

test("deno task replay refuses a live key without printing it", async () => {
  const key = ["sk", "live", "0".repeat(24)].join("_");
  const { code, output } = await replay({ STRIPE_SECRET_KEY: key, STRIPE_CLI_PATH: "/bin/true" });
  assert.equal(code, 1);
  assert.match(output, /must be a test key/);
  assert.ok(!output.includes(key));
});

test("Report counts a finding that differs, and none that does not", () => {
  const report = new Report();
  report.add("same", "paid", "paid");
  assert.equal(report.differences, 0);
  report.add("other", "paid", "pending");
  assert.equal(report.differences, 1);
});
