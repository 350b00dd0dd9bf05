import assert from "node:assert/strict";
import { eventually } from "../support/poll.ts";
import { standIn, TEST_KEY } from "./stand_in.ts";

interface Message {
  endpoint: { api_version: string | null };
  event_payload: string;
  webhook_conversation_id: string;
}

/** Asks for a session as the CLI does. */
function ask(url: string, key: string, feature = "webhooks"): Promise<Response> {
  return fetch(`${url}/v1/stripecli/sessions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}` },
    body: new URLSearchParams({ device_name: "laptop", "websocket_features[]": feature }),
  });
}

async function websocketUrl(url: string): Promise<string> {
  const answer = await ask(url, TEST_KEY);
  assert.equal(answer.status, 200);
  return (await answer.json() as { websocket_url: string }).websocket_url;
}

/** The websocket side of `stripe listen`, as far as it matters for losing nothing. */
class Cli {
  readonly received: Message[] = [];
  readonly #socket: WebSocket;
  readonly opened: Promise<unknown>;
  readonly closed: Promise<unknown>;

  constructor(url: string, acknowledges: boolean) {
    this.#socket = new WebSocket(`${url}?websocket_feature=webhooks`);
    this.opened = new Promise((resolve) => this.#socket.onopen = resolve);
    this.closed = new Promise((resolve) => this.#socket.onclose = resolve);
    this.#socket.onmessage = ({ data }) => {
      const message = JSON.parse(data) as Message;
      this.received.push(message);
      if (acknowledges) this.acknowledge(message);
    };
  }

  acknowledge({ webhook_conversation_id }: Message): void {
    this.#socket.send(JSON.stringify({ type: "event_ack", webhook_conversation_id }));
  }

  /** The customers of the events for the default API version, in the order they came. */
  get names(): string[] {
    return this.received.filter(({ endpoint }) => endpoint.api_version === null)
      .map(({ event_payload }) => JSON.parse(event_payload).data.object.name);
  }

  async close(): Promise<void> {
    this.#socket.close();
    await this.closed;
  }
}

Deno.test("stripe listen: what was not acknowledged comes again after a reconnection, and events in between too", async () => {
  await using stand = await standIn();
  const url = await websocketUrl(stand.url);
  const first = new Cli(url, false);
  await first.opened;
  for (const name of ["acknowledged", "lost"]) await stand.stripe.customers.create({ name });
  await eventually("both events", () => first.names.length === 2);
  for (const message of first.received) {
    if (message.event_payload.includes("acknowledged")) first.acknowledge(message);
  }
  await first.close();
  await stand.stripe.customers.create({ name: "while away" });

  const second = new Cli(url, true);
  await second.opened;
  await stand.stripe.customers.create({ name: "after" });
  await eventually("three events", () => second.names.includes("after"));
  assert.deepEqual(second.names, ["lost", "while away", "after"]);
  await second.close();
});

Deno.test("stripe listen: a listener gets each event for the default and for the latest version, another one its own", async () => {
  await using stand = await standIn();
  const connect = async () => {
    const cli = new Cli(await websocketUrl(stand.url), true);
    await cli.opened;
    return cli;
  };
  const [one, two] = [await connect(), await connect()];
  await stand.stripe.customers.create({ name: "both" });
  for (const cli of [one, two]) {
    await eventually("two messages", () => cli.received.length === 2);
    assert.deepEqual(cli.received.map(({ endpoint }) => endpoint.api_version), [null, "2026-10-28.endive"]);
    await cli.close();
  }
});

Deno.test("stripe listen needs a key, and stripe logs tail is told that it is not there", async () => {
  await using stand = await standIn();
  const keyless = await ask(stand.url, "pk_test_nothing");
  assert.equal(keyless.status, 401);
  await keyless.body?.cancel();
  const logs = await ask(stand.url, TEST_KEY, "request_logs");
  assert.equal(logs.status, 501);
  assert.match((await logs.json()).error.message, /`stripe logs tail`/);
});
