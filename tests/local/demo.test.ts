import assert from "node:assert/strict";

/** Far more than it needs on a busy machine; one that hangs fails instead of holding up the run. */
const DEADLINE_MS = 180_000;

const root = new URL("../..", import.meta.url).pathname;

async function demo(interruptAt: RegExp | null): Promise<{ code: number; output: string; left: string[] }> {
  const temporary = await Deno.makeTempDir({ prefix: "kct-demo-test-" });
  try {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", `${root}/scripts/local/demo.ts`],
      env: { TMPDIR: temporary, NO_COLOR: "1" },
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const late = setTimeout(() => child.kill("SIGKILL"), DEADLINE_MS);
    let output = "";
    let interrupted = false;
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      output += text;
      if (interruptAt === null || interrupted || !interruptAt.test(output)) continue;
      interrupted = true;
      child.kill("SIGINT");
    }
    const { code } = await child.status;
    clearTimeout(late);
    return { code, output, left: [...Deno.readDirSync(temporary)].map(({ name }) => name) };
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}

Deno.test("demo buys an order and leaves nothing behind", async () => {
  const { code, output, left } = await demo(null);
  assert.equal(code, 0, output);
  assert.match(output, /\nOrder \S+: paid, /);
  assert.deepEqual(left, []);
});

Deno.test("demo leaves nothing behind when it is interrupted while it starts", async () => {
  const { code, left } = await demo(/Starting/);
  assert.equal(code, 130);
  assert.deepEqual(left, []);
});
