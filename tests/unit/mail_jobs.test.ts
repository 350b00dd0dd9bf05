import assert from "node:assert/strict";
import type { JobContext, Outcome } from "../../supabase/functions/_shared/jobs/outcome.ts";
import { sendAlert } from "../../supabase/functions/_shared/jobs/send_alert.ts";
import { sendMail } from "../../supabase/functions/_shared/jobs/send_mail.ts";
import type { Job } from "../../supabase/functions/_shared/database/jobs.ts";
import type { Notification } from "../../supabase/functions/_shared/database/notifications.ts";
import type { JobCalls } from "../../supabase/functions/_shared/jobs/calls.ts";
import { fixedClock, keptLog, testEnv } from "./fakes.ts";
import { alertOf, incidentOf, notificationOf } from "../support/mail_fixture.ts";

const mailEnv = { RESEND_API_KEY: "re_unit_tests", EMAIL_FROM: "Shop <orders@example.com>" };
const clock = fixedClock();

const notification = notificationOf("order_cancelled", { number: "T-1", amount_paid: 0 }, { id: "n1" });
const incident = incidentOf([alertOf({ provider: "mail" })]);

type Answer = [status: number, body: unknown];

/** A worker whose mail provider and alert webhook answer as told. */
function worker(
  env: Record<string, string>,
  resend: Answer,
  webhook: Answer = [200, {}],
  changes: Partial<Notification> = {},
) {
  const failed: string[] = [];
  const results: { status: string; error?: string }[] = [];
  const asked: string[] = [];
  const sent: Record<string, unknown>[] = [];
  const rpc = {
    getNotification: () => Promise.resolve({ ...notification, ...changes }),
    takeAlertMessage: () => Promise.resolve(incident),
    recordAlertMessage: () => Promise.resolve(),
    recordNotificationResult: (
      _id: string,
      _to: string | null,
      result: { status: string; error?: string },
    ) => {
      results.push(result);
      if (result.status === "failed") failed.push(result.error ?? "");
      return Promise.resolve(true);
    },
  };
  const context: JobContext = {
    env: testEnv(env),
    rpc: rpc as unknown as JobCalls,
    stripe: {} as JobContext["stripe"],
    fetch: (url, init) => {
      asked.push(String(url));
      sent.push(JSON.parse(String(init?.body)));
      const [status, body] = String(url).startsWith("https://alerts.example") ? webhook : resend;
      return Promise.resolve(Response.json(body, { status }));
    },
    now: clock.now,
    log: keptLog().log,
  };
  const job = (ageMs: number) =>
    ({
      id: 7,
      kind: "send_mail",
      payload: { notification_id: "n1", alert_id: "a1" },
      attempts: 1,
      max_attempts: 12,
      created_at: new Date(clock.now() - ageMs).toISOString(),
    }) as unknown as Job;
  return {
    failed,
    results,
    asked,
    sent,
    mail: (ageMs = 0): Promise<Outcome> => sendMail(job(ageMs), context),
    alert: (): Promise<Outcome> => sendAlert(job(0), context),
  };
}

const ofTheShop: [string, Answer][] = [
  ["no key", [401, { name: "missing_api_key", message: "Missing API Key" }]],
  ["a revoked key", [403, { name: "invalid_api_key", message: "API key is invalid" }]],
  ["a domain that is not verified", [403, {
    name: "validation_error",
    message: "The x.example domain is not verified.",
  }]],
  ["a sender that is none", [422, { name: "invalid_from_address", message: "Invalid `from` field." }]],
  ["a sender under a general name", [422, {
    name: "validation_error",
    message: "Invalid `from` field. Use a@b.c",
  }]],
  ["a used-up plan", [429, { name: "monthly_quota_exceeded", message: "You have reached your quota" }]],
];

for (const [name, answer] of ofTheShop) {
  Deno.test(`send_mail waits, without an attempt lost, while the provider refuses the shop: ${name}`, async () => {
    const here = worker(mailEnv, answer);
    const outcome = await here.mail();
    assert.equal(outcome.kind, "retry");
    assert.equal(
      "provider" in outcome && outcome.provider,
      "unauthorized",
      "which opens the breaker and alerts",
    );
    assert.deepEqual(here.failed, []);
  });
}

Deno.test("send_mail ends for good only where the recipient is refused", async () => {
  const refused = worker(mailEnv, [422, {
    name: "validation_error",
    message: "Invalid `to` field. The email …",
  }]);
  assert.equal((await refused.mail()).kind, "discard");
  assert.equal(refused.failed.length, 1);
  const other = worker(mailEnv, [422, { name: "validation_error", message: "The `subject` is too long." }]);
  const outcome = await other.mail();
  assert.deepEqual([outcome.kind, "provider" in outcome && outcome.provider], ["retry", "up"]);
  assert.deepEqual(other.failed, []);
});

Deno.test("send_mail waits three days for mail to be set up, and then gives up", async () => {
  const days = (count: number) => count * 24 * 3_600_000;
  const here = worker({}, [200, { id: "m1" }]);
  const waiting = await here.mail(days(3) - 1);
  assert.deepEqual([waiting.kind, "alert" in waiting && waiting.alert], ["snooze", "warning"]);
  assert.deepEqual(here.failed, []);
  assert.equal((await here.mail(days(3))).kind, "discard");
  assert.equal(here.failed.length, 1);
  assert.deepEqual(here.asked, []);
});

const alertEnv = { ...mailEnv, ALERT_EMAIL: "staff@example.com" };
const posted = { ...alertEnv, ALERT_WEBHOOK_URL: "https://alerts.example/hook" };
const invalidKey: Answer = [403, { name: "invalid_api_key", message: "API key is invalid" }];

Deno.test("send_alert needs no mail to tell staff that mail is broken", async () => {
  for (const answer of [invalidKey, [500, {}], [422, { message: "Invalid `to` field." }]] as Answer[]) {
    const here = worker(posted, answer);
    assert.equal((await here.alert()).kind, "done");
    assert.ok(here.asked.some((url) => url.startsWith("https://alerts.example")));
  }
  assert.equal((await worker(posted, [200, { id: "m1" }], [500, {}]).alert()).kind, "retry");
});

Deno.test("send_alert waits for the provider where mail is the only way", async () => {
  assert.equal((await worker(alertEnv, invalidKey).alert()).kind, "snooze");
  assert.equal((await worker(alertEnv, [500, {}]).alert()).kind, "retry");
  assert.equal((await worker(alertEnv, [200, { id: "m1" }]).alert()).kind, "done");
});

Deno.test("send_mail does not send what the provider has, nor what must not go to the address", async () => {
  const reported = worker(mailEnv, [200, { id: "m1" }], undefined, { is_sent: true, status: "bounced" });
  assert.equal((await reported.mail()).kind, "done");
  assert.deepEqual([reported.asked, reported.results], [[], []]);
  const suppression = "mail to this address came back for good";
  const held = worker(mailEnv, [200, { id: "m1" }], undefined, { suppression });
  assert.equal((await held.mail()).kind, "discard");
  assert.deepEqual([held.asked, held.results], [[], [{ status: "suppressed", error: suppression }]]);
});

Deno.test("a reminder can be unsubscribed with one click and in its text, a mail about an order cannot", async () => {
  const reminder = worker(mailEnv, [200, { id: "m1" }], undefined, { is_reminder: true });
  assert.equal((await reminder.mail()).kind, "done");
  const [mail] = reminder.sent;
  const headers = mail?.["headers"] as Record<string, string>;
  assert.match(
    headers["List-Unsubscribe"] ?? "",
    /^<http[^>]+\/functions\/v1\/unsubscribe\?token=a{64}\.[\w-]{43}>$/,
  );
  assert.equal(headers["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click");
  for (const part of ["text", "html"]) assert.match(String(mail?.[part]), /\/unsubscribe\?token=a{64}/, part);
  const order = worker(mailEnv, [200, { id: "m1" }]);
  assert.equal((await order.mail()).kind, "done");
  assert.equal(order.sent[0]?.["headers"], undefined);
  assert.doesNotMatch(JSON.stringify(order.sent), /unsubscribe/i);
});

Deno.test("the same mail is the same request when it is sent again", async () => {
  const here = worker(mailEnv, [500, {}], undefined, { is_reminder: true });
  await here.mail(3_600_000);
  clock.advance(3_600_000);
  await here.mail(7_200_000);
  assert.deepEqual(here.sent[0], here.sent[1]);
});
