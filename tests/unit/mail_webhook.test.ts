import assert from "node:assert/strict";
import { type Deps, handle } from "../../supabase/functions/mail-webhook/handler.ts";
import type { MailEvent } from "../../supabase/functions/mail-webhook/mail_event.ts";
import { svixHeaders } from "../../supabase/functions/mail-webhook/signature.ts";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import { errorOf, fixedClock, keptLog } from "./fakes.ts";

const secret = `whsec_${btoa("the first secret of the tests")}`;
const other = `whsec_${btoa("another secret of the tests..")}`;
const clock = fixedClock();
const seconds = Math.floor(clock.now() / 1000);
const notificationId = "6f1c2b9e-4c57-4c0f-9d6e-0a5d3a1b7c43";

/** A report as Resend sends it. */
function report(type: string, data: Record<string, unknown> = {}): string {
  return JSON.stringify({
    type,
    created_at: "2026-11-08T11:59:58.000Z",
    data: {
      email_id: "ae2014de-c168-4c61-8267-70d2662a1ce1",
      created_at: "2026-11-08 11:59:50.000+00",
      from: "Shop <orders@shop.example>",
      to: ["ada@example.com"],
      subject: "Your order",
      tags: { notification_id: notificationId },
      ...data,
    },
  });
}

function world(secrets = [secret], fails = false) {
  const told: MailEvent[] = [];
  const { log, lines } = keptLog();
  const deps: Deps = {
    env: { resendWebhookSecrets: secrets },
    rpc: {
      recordMailEvent: (event) => {
        told.push(event);
        return fails
          ? Promise.reject(new AppError("database_unavailable"))
          : Promise.resolve({ outcome: "recorded", order_id: null });
      },
    },
    log,
    now: clock.now,
  };
  const post = (body: string, headers: Record<string, string>) =>
    handle(new Request("https://ref.example/mail-webhook", { method: "POST", body, headers }), deps);
  const signed = async (body: string, by = secret, at = seconds) =>
    await post(body, await svixHeaders(new TextEncoder().encode(body), by, "msg_1", at));
  return { told, lines, post, signed };
}

Deno.test("the signature is Svix's, by the example of its documentation", async () => {
  const body = '{"test": 2432232314}';
  const headers = await svixHeaders(
    new TextEncoder().encode(body),
    ["whsec", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"].join("_"),
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    1614265330,
  );
  assert.equal(headers["svix-signature"], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
});

Deno.test("a signed report is recorded, with either secret while one is rotated, and whoever else signed as well", async () => {
  const here = world([other, secret]);
  for (const by of [secret, other]) {
    assert.equal((await here.signed(report("email.delivered"), by)).status, 200);
  }
  const body = report("email.delivered");
  const bytes = new TextEncoder().encode(body);
  const ours = await svixHeaders(bytes, secret, "msg_1", seconds);
  const theirs = await svixHeaders(bytes, `whsec_${btoa("a secret that we do not know")}`, "msg_1", seconds);
  const both = `v1a,xyz ${theirs["svix-signature"]} ${ours["svix-signature"]}`;
  assert.equal((await here.post(body, { ...ours, "svix-signature": both })).status, 200);
  assert.equal(here.told.length, 3);
});

Deno.test("what is not signed by us, close to now, over this very body, is refused with 400 invalid_signature", async () => {
  const body = report("email.bounced", { bounce: { type: "Permanent" } });
  const good = await svixHeaders(new TextEncoder().encode(body), secret, "msg_1", seconds);
  const cases: [string, string, Record<string, string>, string[]?][] = [
    ["no header", body, {}],
    ["no id", body, { ...good, "svix-id": "" }],
    ["another id", body, { ...good, "svix-id": "msg_2" }],
    ["another time", body, { ...good, "svix-timestamp": String(seconds + 1) }],
    ["no number as time", body, { ...good, "svix-timestamp": "now" }],
    ["another body", report("email.complained"), good],
    ["another secret", body, good, [other]],
    ["no secret set", body, good, []],
    ["another scheme", body, {
      ...good,
      "svix-signature": (good["svix-signature"] ?? "").replace("v1", "v2"),
    }],
    ["no base64", body, { ...good, "svix-signature": "v1,???" }],
    ["too many", body, { ...good, "svix-signature": Array(11).fill(good["svix-signature"]).join(" ") }],
  ];
  for (const [name, sent, headers, secrets] of cases) {
    const here = world(secrets);
    const answer = await here.post(sent, headers);
    assert.equal(answer.status, 400, name);
    assert.equal((await errorOf(answer)).code, "invalid_signature", name);
    assert.deepEqual(here.told, [], name);
  }
});

Deno.test("a report that was replayed is refused after five minutes, and one from the future as well", async () => {
  for (const [offset, status] of [[-300, 200], [-301, 400], [300, 200], [301, 400]] as const) {
    const answer = await world().signed(report("email.delivered"), secret, seconds + offset);
    assert.equal(answer.status, status, `${offset}`);
  }
});

const read: [string, Record<string, unknown>, Partial<MailEvent>][] = [
  ["email.delivered", {}, { status: "delivered", permanent: false, detail: null }],
  ["email.complained", {}, { status: "complained", permanent: false }],
  ["email.bounced", { bounce: { type: "Permanent", subType: "General", message: "550 no such user" } }, {
    status: "bounced",
    permanent: true,
    detail: "Permanent General: 550 no such user",
  }],
  ["email.bounced", { bounce: { type: "Transient", subType: "MailboxFull", message: "full" } }, {
    status: "bounced",
    permanent: false,
  }],
  ["email.bounced", { bounce: { type: "Undetermined", subType: "Undetermined" } }, { permanent: false }],
  ["email.bounced", {}, { status: "bounced", permanent: false, detail: null }],
  ["email.suppressed", { suppressed: { message: "on the list", type: "OnAccountSuppressionList" } }, {
    status: "suppressed",
    detail: "on the list",
  }],
  ["email.failed", { failed: { reason: "reached_daily_quota" } }, {
    status: "failed",
    detail: "reached_daily_quota",
  }],
  ["email.delivered", { tags: [{ name: "notification_id", value: notificationId }] }, { notificationId }],
  ["email.delivered", { tags: undefined }, { notificationId: null }],
  ["email.delivered", { tags: { notification_id: "no id of ours" } }, { notificationId: null }],
  ["email.delivered", { to: ["Ada <ada@example.com>"] }, { recipient: "ada@example.com" }],
  ["email.delivered", { to: [] }, { recipient: null }],
  ["email.delivered", { to: null, tags: null, bounce: null, suppressed: null, failed: null }, {
    status: "delivered",
    recipient: null,
    notificationId: null,
  }],
  ["email.bounced", { bounce: { type: "Permanent", subType: null, message: null } }, {
    permanent: true,
    detail: "Permanent",
  }],
  ["email.failed", { failed: { reason: null } }, { status: "failed", detail: null }],
];

Deno.test("what Resend says of a mail is read as it is meant", async () => {
  for (const [type, data, expected] of read) {
    const here = world();
    assert.equal((await here.signed(report(type, data))).status, 200);
    const [event] = here.told;
    assert.ok(event, type);
    for (const [field, value] of Object.entries(expected)) {
      assert.deepEqual(event[field as keyof MailEvent], value, `${type} ${JSON.stringify(data)}`);
    }
    assert.equal(event.at, "2026-11-08T11:59:58.000Z");
  }
});

Deno.test("what is signed and of no use is acknowledged, so that it does not come again", async () => {
  for (
    const body of [report("email.opened"), report("toString"), "no json", "[]", '{"type":"email.bounced"}']
  ) {
    const here = world();
    const answer = await here.signed(body);
    assert.deepEqual(
      [answer.status, await answer.json()],
      [200, { received: true, outcome: "ignored" }],
      body,
    );
    assert.deepEqual(here.told, []);
  }
});

Deno.test("a report that could not be stored is not acknowledged", async () => {
  assert.equal((await world([secret], true).signed(report("email.delivered"))).status, 503);
});

Deno.test("nothing personal of a report reaches the log", async () => {
  const here = world();
  await here.signed(
    report("email.bounced", { bounce: { type: "Permanent", message: "ada@example.com unknown" } }),
  );
  await here.post(report("email.bounced"), {});
  assert.equal(here.lines.length, 2);
  assert.doesNotMatch(JSON.stringify(here.lines), /ada@example|Your order/);
});

Deno.test("mail-webhook takes POST alone, and no more than a report is long", async () => {
  const here = world();
  const get = await handle(new Request("https://ref.example/mail-webhook"), {
    env: { resendWebhookSecrets: [secret] },
    rpc: { recordMailEvent: () => Promise.resolve({ outcome: "recorded", order_id: null }) },
    log: keptLog().log,
    now: clock.now,
  });
  assert.equal(get.status, 405);
  assert.equal((await here.signed("x".repeat(70_000))).status, 413);
});

Deno.test("a report that we listen to and cannot read is taken, and told of in the log", async () => {
  const here = world();
  const warnings = () => here.lines.filter(({ message }) => message === "mail_event_not_understood");
  for (const body of [report("email.opened"), "[]", "null", "{", '{"type":7}', report("email.delivered")]) {
    assert.equal((await here.signed(body)).status, 200);
  }
  assert.equal(warnings().length, 0);
  const answer = await here.signed(report("email.bounced", { to: 7 }));
  assert.deepEqual([answer.status, (await answer.json()).outcome], [200, "ignored"]);
  assert.deepEqual(warnings().map(({ type }) => type), ["email.bounced"]);
  assert.equal(here.told.length, 1);
});
