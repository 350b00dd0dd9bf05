import assert from "node:assert/strict";
import type { LimitDecision, RateLimiter } from "../../supabase/functions/_shared/limits/rate_limit.ts";
import { createMemoryLimiter } from "../../supabase/functions/_shared/limits/rate_limit.ts";
import { createRejections } from "../../supabase/functions/stripe-webhook/rejections.ts";
import { fixedClock, keptLog } from "./fakes.ts";

function world(options: { limiter?: RateLimiter; record?: () => Promise<void> } = {}) {
  const clock = fixedClock();
  const recorded: [string, string | null, number][] = [];
  const reports: (() => Promise<void>)[] = [];
  const rejections = createRejections({
    rpc: {
      recordWebhookRejection: (reason, address, count) => {
        recorded.push([reason, address, count]);
        return options.record?.() ?? Promise.resolve();
      },
    },
    limiter: options.limiter ?? createMemoryLimiter({ now: clock.now }),
    limitPerMinute: 10,
    log: keptLog().log,
    now: clock.now,
    later: (report) => reports.push(report),
  });
  return { rejections, recorded, reports, clock };
}

Deno.test("createRejections() shuts an address out at the limit and opens after a minute", async () => {
  const { rejections, clock } = world();
  for (let index = 0; index < 9; index++) await rejections.count("invalid_signature", "203.0.113.7");
  assert.equal(rejections.blockedFor("203.0.113.7"), null);
  await rejections.count("invalid_signature", "203.0.113.7");
  assert.equal(rejections.blockedFor("203.0.113.7"), 60);
  assert.equal(rejections.blockedFor("203.0.113.8"), null);
  clock.advance(60_000);
  assert.equal(rejections.blockedFor("203.0.113.7"), null);
});

Deno.test("createRejections() shuts out an address that other workers have counted over the limit", async () => {
  const refuses: LimitDecision = { allowed: false, retry_after_seconds: 42, key: "k" };
  const { rejections } = world({ limiter: { take: () => Promise.resolve(refuses) } });
  assert.equal(await rejections.count("invalid_signature", "203.0.113.7"), 42);
  assert.equal(rejections.blockedFor("203.0.113.7"), 42);
});

Deno.test("createRejections() reports what it turned away in one batch per address", async () => {
  const { rejections, recorded, reports } = world();
  for (let index = 0; index < 1_000; index++) rejections.countBlocked("203.0.113.7");
  for (let index = 0; index < 5; index++) rejections.countBlocked("203.0.113.8");
  assert.equal(reports.length, 1);
  assert.deepEqual(recorded, []);
  await reports[0]?.();
  assert.deepEqual(recorded, [["rate_limited", "203.0.113.7", 1_000], ["rate_limited", "203.0.113.8", 5]]);
});

Deno.test("createRejections() stays bounded under a flood of spoofed addresses", async () => {
  const { rejections, recorded, reports } = world();
  for (let index = 0; index < 50_000; index++) {
    rejections.countBlocked(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`);
  }
  await reports[0]?.();
  assert(recorded.length <= 5_001, `${recorded.length} rows`);
  assert.equal(recorded.reduce((sum, [, , count]) => sum + count, 0), 50_000, "none is lost");
});

Deno.test("createRejections() does not let a failing database change the answer", async () => {
  const { rejections } = world({ record: () => Promise.reject(new Error("down")) });
  assert.equal(await rejections.count("invalid_signature", "203.0.113.7"), null);
});

Deno.test("createRejections() counts an IPv6 /64 as one caller", async () => {
  const { rejections } = world();
  for (let index = 0; index < 10; index++) {
    await rejections.count("invalid_signature", `2001:db8::${index + 1}`);
  }
  assert.equal(rejections.blockedFor("2001:db8::ffff"), 60);
});
