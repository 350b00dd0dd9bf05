/** What the doctor makes of functions, clocks, the sender's domain and what production must not be without. */
import assert from "node:assert/strict";
import { checkEnvironment } from "../../scripts/live/doctor/environment.ts";
import type { Finding } from "../../scripts/live/doctor/finding.ts";
import { type Answer, judgeClock, judgeFunction } from "../../scripts/live/doctor/functions.ts";
import { judgeDomain } from "../../scripts/live/doctor/mail.ts";
import type { Subject } from "../../scripts/live/doctor/subject.ts";
import { testEnv } from "../unit/fakes.ts";

const lines = (findings: Finding[]) => findings.map(({ level, what }) => `${level} ${what}`);

Deno.test("doctor: a function that is missing, behind a gateway's token, or does not start is named", () => {
  const judged = (answer: Partial<Answer> | null) =>
    lines(judgeFunction(
      "stripe-webhook",
      answer === null ? null : { status: 200, own: false, date: null, ...answer },
      "project",
    ));
  assert.deepEqual(judged({ status: 405, own: true }), []);
  assert.deepEqual(judged(null), ["error the function stripe-webhook does not answer"]);
  assert.deepEqual(judged({ status: 404 }), ["error the function stripe-webhook is not deployed"]);
  assert.deepEqual(judged({ status: 503 }), ["error the function stripe-webhook does not start (503)"]);
  assert.deepEqual(judged({ status: 401 }), [
    "error the function stripe-webhook is behind verify_jwt: Stripe, mailboxes and shoppers bring no token",
  ]);
});

Deno.test("doctor: clocks that differ by more than a minute are named, whichever is ahead", () => {
  const now = Date.parse("2026-11-24T12:00:00Z");
  const judged = (date: string | null) => lines(judgeClock(date, now));
  assert.deepEqual(judged("Tue, 24 Nov 2026 12:00:59 GMT"), []);
  assert.deepEqual(judged(null), []);
  for (const date of ["Tue, 24 Nov 2026 12:02:00 GMT", "Tue, 24 Nov 2026 11:58:00 GMT"]) {
    assert.deepEqual(judged(date), ["warning this machine's clock and the project's differ by 120 s"]);
  }
});

Deno.test("doctor: a sender whose domain is not at Resend, or not verified there, is named", () => {
  const domains = [{ name: "shop.example", status: "verified" }, { name: "new.example", status: "pending" }];
  const judged = (domain: string) => lines(judgeDomain(domain, domains));
  assert.deepEqual(judged("shop.example"), ["ok Resend has verified shop.example"]);
  assert.deepEqual(judged("mail.shop.example"), ["ok Resend has verified shop.example"]);
  assert.deepEqual(judged("workshop.example"), [
    "error Resend does not know the sender's domain workshop.example",
  ]);
  assert.deepEqual(judged("new.example"), ["error Resend has not verified new.example (pending)"]);
});

Deno.test("doctor: what production must not be without is named one by one, and nothing of it elsewhere", () => {
  const liveKey = ["sk", "live", "DoctorTests00000"].join("_");
  const strict = {
    APP_ENV: "production",
    STRIPE_SECRET_KEY: liveKey,
    STRIPE_API_BASE: undefined,
    ADMIN_REQUIRE_MFA: "true",
    ALLOWED_ORIGINS: "https://shop.example",
    CHECKOUT_TURNSTILE_SECRET: "0x4AAAAAAA",
  };
  const judged = (changes: Record<string, string | undefined>) =>
    lines(checkEnvironment({ env: testEnv({ ...strict, ...changes }), kind: "local" } as Subject))
      .filter((line) => !/^ok|no mail|alerts reach/.test(line));
  assert.deepEqual(judged({}), []);
  assert.deepEqual(judged({ VELOCITY_MODE: "report" }), [
    "warning VELOCITY_MODE is report: card testers are not refused",
  ]);
  assert.deepEqual(judged({ CHECKOUT_RATE_LIMIT: "5000" }), [
    "warning CHECKOUT_RATE_LIMIT is 5000 a minute: no shopper needs so many",
  ]);
  assert.deepEqual(judged({ CHECKOUT_TURNSTILE_SECRET: undefined }), [
    "warning nothing tells robots from shoppers at the checkout",
  ]);
  assert.deepEqual(judged({ ADMIN_REQUIRE_MFA: "false" }), ["warning staff need no second factor"]);
  const testKey = ["sk", "test", "DoctorTests00000"].join("_");
  const staging = { APP_ENV: "staging", STRIPE_SECRET_KEY: testKey, VELOCITY_MODE: "off" };
  assert.deepEqual(judged({ ...staging, ADMIN_REQUIRE_MFA: "false" }), []);
});
