import assert from "node:assert/strict";
import { mailReporter, reportsOf } from "../../../scripts/local/web/mail_reports.ts";
import { openMailStore } from "../../../scripts/local/web/mail_store.ts";
import { resendStandIn } from "../../../scripts/local/web/resend.ts";
import { type MailEvent, readMailEvent } from "../../../supabase/functions/mail-webhook/mail_event.ts";
import { isSigned } from "../../../supabase/functions/mail-webhook/signature.ts";
import { eventually } from "../../support/poll.ts";

const MAIL = {
  from: "KCT Menswear <orders@example.com>",
  to: "shopper@example.com",
  subject: "Your order",
  html: "<p>Thank you</p>",
};

interface Send {
  body?: unknown;
  key?: string;
  headers?: Record<string, string>;
}

/** A stand-in on a folder of its own, and a way to post to it. */
async function standIn() {
  const dir = await Deno.makeTempDir({ prefix: "kct-mails-" });
  const mails = await openMailStore(dir);
  const pages = resendStandIn(mails);
  const call = async (method: string, path: string, init: RequestInit = {}) => {
    const url = new URL(`http://127.0.0.1/resend${path}`);
    const response = await pages(new Request(url, { method, ...init }), url);
    assert.ok(response);
    const body: Record<string, unknown> = await response.json();
    return { status: response.status, headers: response.headers, body };
  };
  const send = ({ body = MAIL, key, headers = {} }: Send = {}) =>
    call("POST", "/emails", {
      headers: {
        authorization: "Bearer re_local",
        ...(key === undefined ? {} : { "idempotency-key": key }),
        ...headers,
      },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const remove = () => Deno.remove(dir, { recursive: true });
  return { dir, mails, call, send, [Symbol.asyncDispose]: remove };
}

Deno.test("Resend stand-in accepts a mail, answers its id and keeps it across restarts", async () => {
  await using resend = await standIn();
  const { dir, mails, call, send } = resend;
  const sent = await send();
  assert.equal(sent.status, 200);
  assert.deepEqual(Object.keys(sent.body), ["id"]);
  const id = String(sent.body.id);
  assert.equal(mails.get(id)?.subject, "Your order");

  const reopened = await openMailStore(dir);
  assert.deepEqual(reopened.list(), mails.list());

  const read = await call("GET", `/emails/${id}`, { headers: { authorization: "Bearer re_local" } });
  assert.equal(read.body.last_event, "delivered");
  assert.deepEqual(read.body.to, ["shopper@example.com"]);
  assert.equal("body_hash" in read.body, false);
});

Deno.test("Resend stand-in replays the id for a repeated key, also in parallel and after a restart", async () => {
  await using resend = await standIn();
  const { dir, mails, send } = resend;
  const answers = await Promise.all(Array.from({ length: 8 }, () => send({ key: "order-confirmation/1" })));
  assert.equal(new Set(answers.map((answer) => answer.body.id)).size, 1);
  assert.equal(mails.list().length, 1);

  const other = await send({ key: "order-confirmation/2" });
  assert.notEqual(other.body.id, answers[0]?.body.id);
  const reopened = await openMailStore(dir);
  assert.equal(reopened.byIdempotencyKey("order-confirmation/1")?.id, answers[0]?.body.id);
});

Deno.test("Resend stand-in refuses a key reused with another body with 409", async () => {
  await using resend = await standIn();
  const { mails, send } = resend;
  await send({ key: "k" });
  const second = await send({ key: "k", body: { ...MAIL, subject: "Another" } });
  assert.equal(second.status, 409);
  assert.equal(second.body.name, "invalid_idempotent_request");
  assert.equal(mails.list().length, 1);
});

Deno.test("Resend stand-in answers bad requests in Resend's shape and stores nothing", async (t) => {
  await using resend = await standIn();
  const { mails, call, send } = resend;
  const cases: [string, Send, number, string][] = [
    ["no key", { headers: { authorization: "" } }, 401, "missing_api_key"],
    ["a key that is not Resend's", { headers: { authorization: "Bearer sk_1" } }, 403, "invalid_api_key"],
    ["malformed JSON", { body: "{" }, 400, "validation_error"],
    ["a JSON list", { body: [] }, 422, "validation_error"],
    ["no recipient", { body: { ...MAIL, to: [] } }, 422, "missing_required_field"],
    ["a recipient that is no address", { body: { ...MAIL, to: "nobody" } }, 422, "validation_error"],
    ["a sender that is no address", { body: { ...MAIL, from: "KCT" } }, 422, "invalid_from_address"],
    [
      "a subject with a line break",
      { body: { ...MAIL, subject: "a\r\nBcc: b@c.d" } },
      422,
      "validation_error",
    ],
    ["no content", { body: { ...MAIL, html: undefined } }, 422, "missing_required_field"],
    ["51 recipients", { body: { ...MAIL, to: Array(51).fill("a@b.c") } }, 422, "validation_error"],
    ["a key of 257 characters", { key: "k".repeat(257) }, 400, "invalid_idempotency_key"],
    ["a schedule", { body: { ...MAIL, scheduled_at: "in 1 hour" } }, 501, "not_supported"],
  ];
  for (const [name, request, status, code] of cases) {
    await t.step(name, async () => {
      const answer = await send(request);
      assert.deepEqual([answer.status, answer.body.name, answer.body.statusCode], [status, code, status]);
      assert.equal(typeof answer.body.message, "string");
    });
  }
  await t.step("a route that it does not have", async () => {
    const answer = await call("GET", "/domains", { headers: { authorization: "Bearer re_local" } });
    assert.equal(answer.status, 501);
    assert.match(String(answer.body.message), /GET \/domains/);
  });
  assert.equal(mails.list().length, 0);
});

Deno.test("Resend stand-in fails as often as it was told to, then accepts again", async () => {
  await using resend = await standIn();
  const { mails, call, send } = resend;
  await call("POST", "/_control/faults", {
    body: JSON.stringify({ status: 429, times: 2, retry_after: 3 }),
  });
  for (let round = 0; round < 2; round++) {
    const answer = await send();
    assert.deepEqual([answer.status, answer.body.name], [429, "rate_limit_exceeded"]);
    assert.equal(answer.headers.get("retry-after"), "3");
  }
  assert.equal((await send()).status, 200);
  assert.equal(mails.list().length, 1);
});

Deno.test("Resend stand-in reports what becomes of Resend's test addresses, labelled or not", () => {
  const cases: [string, string[]][] = [
    ["ada@example.com", ["email.delivered"]],
    ["delivered@resend.dev", ["email.delivered"]],
    ["Ada <bounced@resend.dev>", ["email.bounced"]],
    ["bounced+label@resend.dev", ["email.bounced"]],
    ["complained@resend.dev", ["email.delivered", "email.complained"]],
    ["suppressed+1@resend.dev", ["email.suppressed"]],
    ["bounced@example.com", ["email.delivered"]],
  ];
  for (const [to, reports] of cases) assert.deepEqual(reportsOf({ to: [to] }), reports, to);
});

Deno.test("Resend stand-in tells a signed report in Resend's shape, again until it is taken, in order", async () => {
  await using dir = await tempDir();
  const secret = `whsec_${btoa("a secret of the tests alone")}`;
  const seen: { type: string; id: string; signed: boolean; event: MailEvent | null }[] = [];
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const body = new Uint8Array(await request.arrayBuffer());
    const event = JSON.parse(new TextDecoder().decode(body));
    seen.push({
      type: event.type,
      id: request.headers.get("svix-id") ?? "",
      signed: await isSigned(body, request.headers, [secret], Date.now()),
      event: readMailEvent(event),
    });
    return new Response(null, { status: seen.length === 1 ? 503 : 200 });
  });
  const mails = await openMailStore(dir.path);
  const report = mailReporter(`http://127.0.0.1:${server.addr.port}/`, secret);
  const pages = resendStandIn(mails, report);
  const url = new URL("http://127.0.0.1/resend/emails");
  const notificationId = crypto.randomUUID();
  const send = () =>
    pages(
      new Request(url, {
        method: "POST",
        headers: { authorization: "Bearer re_local", "idempotency-key": "k" },
        body: JSON.stringify({
          ...MAIL,
          to: "complained@resend.dev",
          tags: [{ name: "notification_id", value: notificationId }],
        }),
      }),
      url,
    );
  await send();
  await send();
  await eventually("all reports", () => seen.length === 3);
  assert.deepEqual(seen.map(({ type }) => type), ["email.delivered", "email.delivered", "email.complained"]);
  assert.equal(seen[0]?.id, seen[1]?.id);
  assert.deepEqual(seen.map(({ signed }) => signed), [true, true, true]);
  const last = seen.at(-1)?.event;
  assert.deepEqual([last?.status, last?.notificationId, last?.recipient, last?.providerId], [
    "complained",
    notificationId,
    "complained@resend.dev",
    mails.list()[0]?.id,
  ]);
});

async function tempDir(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "kct-mails-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
