import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { TextLineStream } from "../../scripts/local/lines.ts";
import { eventually } from "../support/poll.ts";
import { Receiver } from "./receiver.ts";
import { clientOf, shirt, TEST_KEY } from "./stand_in.ts";

const { test } = Deno;

const MAIN = new URL("../../scripts/local/stripe/main.ts", import.meta.url);

/** The stand-in as the stack runs it: a process of its own. */
class StandInProcess {
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;
  url = "";

  constructor(dir: string) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", MAIN.href],
      env: { LOCAL_STRIPE_PORT: "0", LOCAL_DIR: dir, STRIPE_STANDIN_SECRET_KEY: TEST_KEY },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#stdin = this.#child.stdin.getWriter();
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

  async closeStdin(): Promise<Deno.CommandStatus> {
    await this.#stdin.close();
    return await this.#gone();
  }

  async terminate(): Promise<Deno.CommandStatus> {
    this.#child.kill("SIGTERM");
    return await this.#gone();
  }

  async #gone(): Promise<Deno.CommandStatus> {
    const status = await this.#child.status;
    await this.#output.cancel();
    await this.#stdin.close().catch(() => {});
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

test("the stand-in ends when its parent is gone (stdin closes), and says which port is taken", async () => {
  const dir = await Deno.makeTempDir();
  const process = await started(dir);
  const { port } = new URL(process.url);
  const rival = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN.href],
    env: { LOCAL_STRIPE_PORT: port, LOCAL_DIR: `${dir}/rival` },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  assert.equal(rival.code, 1);
  assert.match(
    new TextDecoder().decode(rival.stderr),
    new RegExp(`Port ${port} is in use.*LOCAL_STRIPE_PORT`),
  );
  assert.equal((await process.closeStdin()).code, 0);
  await Deno.remove(dir, { recursive: true });
});

test("state that another version wrote is refused with the way out, not misread", async () => {
  const dir = await Deno.makeTempDir();
  const first = await started(dir);
  await first.terminate();
  const db = new DatabaseSync(`${dir}/stripe/stripe.db`);
  db.exec("pragma user_version = 99");
  db.close();
  const second = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN.href],
    env: { LOCAL_STRIPE_PORT: "0", LOCAL_DIR: dir },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  assert.equal(second.code, 1);
  assert.match(new TextDecoder().decode(second.stderr), /another version .* --fresh/);
  await Deno.remove(dir, { recursive: true });
});
