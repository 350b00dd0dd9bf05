import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { TextLineStream } from "../../scripts/lib/lines.ts";
import { eventually } from "../support/poll.ts";
import { Receiver } from "./receiver.ts";
import { clientOf, shirt, TEST_KEY } from "./stand_in.ts";

const { test } = Deno;

const MAIN = new URL("../../scripts/stand-in/main.ts", import.meta.url);

/** The stand-in as the stack runs it: a process of its own. */
class StandInProcess {
  readonly #child: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<string>;
  url = "";

  constructor(dir: string) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", MAIN.href, "--port", "0", "--data", dir],
      env: { STRIPE_STANDIN_SECRET_KEY: TEST_KEY },
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(
      new TextLineStream(),
    ).getReader();
  }

  async ready(): Promise<void> {
    const { value = "" } = await this.#output.read();
    const match = /^ready (http:\/\/127\.0\.0\.1:\d+)$/.exec(value);
    assert.ok(match?.[1] !== undefined, `it printed ${JSON.stringify(value)}`);
    this.url = match[1];
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#gone();
  }

  async terminate(): Promise<Deno.CommandStatus> {
    this.#child.kill("SIGTERM");
    return await this.#gone();
  }

  async #gone(): Promise<Deno.CommandStatus> {
    const status = await this.#child.status;
    await this.#output.cancel();
    return status;
  }
}

async function started(dir: string): Promise<StandInProcess> {
  const process = new StandInProcess(dir);
  await process.ready();
  return process;
}

test("killed with -9 the stand-in comes back with its objects, and delivers what it had not delivered", async () => {
  const dir = await Deno.makeTempDir();
  await using hook = new Receiver();
  hook.answer = () => new Response("not yet", { status: 503 });
  const first = await started(dir);
  const stripe = clientOf(first.url);
  const { secret = "" } = await stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ["*"] });
  const session = await stripe.checkout.sessions.create(shirt({ metadata: { order_id: "o-9" } }));
  const paid = await fetch(`${first.url}/_control/pay`, {
    method: "POST",
    body: JSON.stringify({ session: session.id }),
  });
  assert.equal(paid.status, 200);
  await paid.body?.cancel();
  const keyed = await stripe.customers.create({ name: "K" }, { idempotencyKey: "before-crash" });
  await eventually("a failed delivery", () => hook.received.length > 0);
  await first.kill();

  hook.answer = () => new Response("ok");
  const wanted = 5;
  const second = await started(dir);
  const again = clientOf(second.url);
  const after = await again.checkout.sessions.retrieve(session.id, { expand: ["payment_intent"] });
  assert.equal(after.payment_status, "paid");
  assert.deepEqual(after.metadata, { order_id: "o-9" });
  assert.equal(
    (await again.customers.create({ name: "K" }, { idempotencyKey: "before-crash" })).id,
    keyed.id,
  );
  const flushed = await fetch(`${second.url}/_control/flush`, { method: "POST" });
  assert.equal(flushed.status, 200);
  await flushed.body?.cancel();
  assert.equal(new Set(hook.received.map(({ id }) => id)).size, wanted);
  const last = hook.received.at(-1);
  assert.ok(last !== undefined);
  await again.webhooks.constructEventAsync(last.body, last.signature, secret);
  assert.equal((await second.terminate()).code, 0);
  await Deno.remove(dir, { recursive: true });
});

test("a taken port is named; wrong flags get one line", async () => {
  const dir = await Deno.makeTempDir();
  const process = await started(dir);
  const { port } = new URL(process.url);
  const rival = await runMain(["--port", port]);
  assert.equal(rival.code, 1);
  assert.match(rival.said, new RegExp(`^Port ${port} is in use: .*\\n$`));
  const wrong = await runMain(["--prot", "1"]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.said, /^.*--prot.*usage: .*\n$/);
  assert.match((await runMain(["--help"])).said, /--data/);
  assert.equal((await process.terminate()).code, 0);
  await Deno.remove(dir, { recursive: true });
});

test("a data folder that another stand-in uses is refused", async () => {
  const dir = await Deno.makeTempDir();
  const process = await started(dir);
  const rival = await runMain(["--port", "0", "--data", dir]);
  assert.equal(rival.code, 1);
  assert.match(rival.said, /^.*stripe\.db is in use: stop the other stand-in.*\n$/);
  assert.equal((await process.terminate()).code, 0);
  await Deno.remove(dir, { recursive: true });
});

test("state that another version wrote is refused with the way out, not misread", async () => {
  const dir = await Deno.makeTempDir();
  const first = await started(dir);
  await first.terminate();
  const db = new DatabaseSync(`${dir}/stripe.db`);
  db.exec("pragma user_version = 99");
  db.close();
  const second = await runMain(["--port", "0", "--data", dir]);
  assert.equal(second.code, 1);
  assert.match(second.said, /another version .* --fresh/);
  await Deno.remove(dir, { recursive: true });
});

test("it needs nothing of this repository but its own folder, and no stdin", async () => {
  const dir = await Deno.makeTempDir();
  await copyFolder(new URL(".", MAIN).pathname, `${dir}/stand-in`);
  // Only the types of Stripe's package are used, and types are not loaded.
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "start", "--port", "0"],
    cwd: `${dir}/stand-in`,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  const output = lines.getReader();
  const { value = "" } = await output.read();
  const url = /^ready (\S+)$/.exec(value)?.[1];
  assert.ok(url !== undefined, `it printed ${JSON.stringify(value)}`);
  const { object } = await clientOf(url).checkout.sessions.create(shirt());
  assert.equal(object, "checkout.session");
  child.kill("SIGTERM");
  await child.status;
  await output.cancel();
  await Deno.remove(dir, { recursive: true });
});

async function runMain(args: string[]): Promise<{ code: number; said: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", MAIN.href, ...args],
    stdin: "null",
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  return { code, said: text.decode(stderr) + text.decode(stdout) };
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}
