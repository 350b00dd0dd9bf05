import assert from "node:assert/strict";

/** Runs the benchmark as a user does. */
async function bench(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "scripts/quality/bench.ts", ...args],
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

// Figures of a busy machine mean nothing, so none is held against a limit here.
Deno.test("bench measures every path and prints its ratio", async () => {
  const { out, err } = await bench("--orders", "1", "--jobs", "200", "--finished", "100");
  for (
    const path of [
      "checkout",
      "webhook",
      "checkouts, to stock updates",
      "one article, to many",
      "velocity rules",
      "events alone",
      "events together",
      "first event, to insert and update",
      "event that pays, to the same",
      "event without news, to a duplicate",
      "events that pay, p99 to p50",
      "events of an order, p99 to p50",
      "5 events of one order, to in turn",
      "the same, to one of each order",
      "a receipt rendered",
      "jobs drained",
      "claim",
    ]
  ) {
    const line = out.split("\n").find((text) => text.startsWith(path));
    assert.match(line ?? "", / \d+\.\d\d /, `${path}: ${out}${err}`);
  }
});

Deno.test("bench refuses a number of rounds that is none", async () => {
  const { code, err } = await bench("--orders", "many");
  assert.equal(code, 2);
  assert.match(err, /--orders many is not a whole number/);
});
