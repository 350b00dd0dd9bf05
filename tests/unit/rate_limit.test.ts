import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import {
  createMemoryLimiter,
  createRateLimiter,
  createTieredLimiter,
  type LimitDecision,
} from "../../supabase/functions/_shared/limits/rate_limit.ts";
import { fakeCall, fixedClock, keptLog } from "./fakes.ts";

const bucket = (key: string, limit = 3) => ({ key, limit, window_seconds: 60 });
const allowed: LimitDecision = { allowed: true, retry_after_seconds: 0, key: null };

Deno.test("createMemoryLimiter() allows up to the limit, refuses beyond it, and forgets after the window", async () => {
  const clock = fixedClock();
  const limiter = createMemoryLimiter({ now: clock.now });
  for (let index = 0; index < 3; index++) assert.equal((await limiter.take([bucket("a")])).allowed, true);
  assert.deepEqual(await limiter.take([bucket("a")]), { allowed: false, retry_after_seconds: 60, key: "a" });
  assert.equal((await limiter.take([bucket("b")])).allowed, true);
  clock.advance(60_000);
  assert.equal((await limiter.take([bucket("a")])).allowed, true);
});

Deno.test("createMemoryLimiter() refuses when any of several buckets is full", async () => {
  const limiter = createMemoryLimiter();
  await limiter.take([bucket("narrow", 1)]);
  const decision = await limiter.take([bucket("wide"), bucket("narrow", 1)]);
  assert.equal(decision.allowed, false);
  assert.equal(decision.key, "narrow");
});

Deno.test("createMemoryLimiter() lets nobody use up what others share by being refused", async () => {
  const limiter = createMemoryLimiter();
  const ask = (address: string) => limiter.take([bucket(address, 2), bucket("all", 20)]);
  for (let index = 0; index < 100; index++) await ask("flood");
  assert.equal((await ask("shopper")).allowed, true);
});

Deno.test("createMemoryLimiter() stays within its capacity", async () => {
  const limiter = createMemoryLimiter({ capacity: 100 });
  for (let index = 0; index < 10_000; index++) await limiter.take([bucket(`address ${index}`)]);
  assert(limiter.size() <= 100);
});

Deno.test("createTieredLimiter() asks the next limiter when one fails, and leaves the failed one alone for a while", async () => {
  const clock = fixedClock();
  const { log, lines } = keptLog();
  let asked = 0;
  const broken = {
    take: () => {
      asked += 1;
      return Promise.reject(new Error("down"));
    },
  };
  const limiter = createTieredLimiter(
    [{ name: "broken", limiter: broken, restingUntil: 0 }],
    { take: () => Promise.resolve(allowed) },
    log,
    clock.now,
  );
  for (let index = 0; index < 5; index++) assert.deepEqual(await limiter.take([bucket("a")]), allowed);
  assert.equal(asked, 1);
  assert.equal(lines.length, 1);
  clock.advance(10_000);
  await limiter.take([bucket("a")]);
  assert.equal(asked, 2);
});

Deno.test("createTieredLimiter() does not let callers past the limits because many come at once: they come back", async () => {
  const busy = () => Promise.reject(new AppError("busy", { retryAfterSeconds: 5 }));
  const tier = { name: "postgres", limiter: { take: busy }, restingUntil: 0 };
  const limiter = createTieredLimiter([tier], createMemoryLimiter(), keptLog().log);
  await assert.rejects(limiter.take([bucket("a")]), { code: "busy" });
  assert.equal(tier.restingUntil, 0);
});

Deno.test("createRateLimiter() counts no failure of a limiter that was not asked", async () => {
  const counted: string[] = [];
  const limiter = createRateLimiter({
    env: { upstash: null },
    call: fakeCall(() => Promise.reject(new AppError("busy", { retryAfterSeconds: 5 }))),
    log: keptLog().log,
    metrics: { count: (_metric, labels) => counted.push(labels.join(" ")) },
  });
  await assert.rejects(limiter.take([bucket("a")]), { code: "busy" });
  assert.deepEqual(counted, []);
});

Deno.test("createRateLimiter() uses Postgres without Upstash, and memory when Postgres is down", async () => {
  let up = true;
  const counted: string[] = [];
  const limiter = createRateLimiter({
    env: { upstash: null },
    call: fakeCall(() => up ? Promise.resolve(allowed) : Promise.reject(new Error("down"))),
    log: keptLog().log,
    metrics: { count: (_metric, labels) => counted.push(labels.join(" ")) },
  });
  assert.deepEqual(await limiter.take([bucket("a", 1)]), allowed);
  up = false;
  assert.equal((await limiter.take([bucket("a", 1)])).allowed, true);
  assert.equal((await limiter.take([bucket("a", 1)])).allowed, false);
  assert.deepEqual(counted, ["postgres allowed", "postgres failed", "memory allowed", "memory refused"]);
});
