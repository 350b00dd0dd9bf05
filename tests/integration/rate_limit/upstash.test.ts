import assert from "node:assert/strict";
import { fakeCall, uncounted } from "../../unit/fakes.ts";
import { createLogger } from "../../../supabase/functions/_shared/log.ts";
import {
  createRateLimiter,
  createUpstashLimiter,
  type LimitDecision,
} from "../../../supabase/functions/_shared/limits/rate_limit.ts";
import { stopClock } from "../../support/stopped_clock.ts";
import { hasRedis, startUpstash } from "./upstash_standin.ts";

const available = await hasRedis();
if (!available && Deno.env.get("CI") === "true") throw new Error("CI needs redis-server");
if (!available) console.log("skipping the Upstash tests: there is no redis-server here");

/** Here only the limits are in question; a busy machine takes its time. */
const patienceMs = 30_000;
const silent = createLogger({}, () => {});
const bucket = (key: string, limit = 5) => ({ key, limit, window_seconds: 60 });
const fromPostgres: LimitDecision = { allowed: true, retry_after_seconds: 0, key: "postgres" };

function limiterWith(url: string, token: string) {
  let asked = 0;
  const limiter = createRateLimiter({
    env: { upstash: { url, token } },
    call: fakeCall(() => {
      asked += 1;
      return Promise.resolve(fromPostgres);
    }),
    log: silent,
    metrics: uncounted,
  });
  return { limiter, postgresAsked: () => asked };
}

Deno.test({ name: "the Upstash limiter", ignore: !available }, async (test) => {
  await using upstash = await startUpstash();
  // Windows turn over at each full minute, and then let a request or two more through.
  using _clock = stopClock();

  await test.step("allows up to the limit and refuses the next, across workers", async () => {
    const workers = [createUpstashLimiter(upstash, patienceMs), createUpstashLimiter(upstash, patienceMs)];
    const decisions = [];
    for (let index = 0; index < 8; index++) {
      decisions.push(await workers[index % 2]?.take([bucket("shared")]));
    }
    assert.deepEqual(decisions.map((decision) => decision?.allowed), [
      ...Array(5).fill(true),
      ...Array(3).fill(false),
    ]);
    const refused = decisions.at(-1);
    assert.equal(refused?.key, "shared");
    assert(refused !== undefined && refused.retry_after_seconds >= 1 && refused.retry_after_seconds <= 120);
  });

  await test.step("keeps a refused address in memory instead of asking again", async () => {
    const limiter = createUpstashLimiter(upstash, patienceMs);
    for (let index = 0; index < 6; index++) await limiter.take([bucket("cached")]);
    const before = upstash.commands.length;
    for (let index = 0; index < 50; index++) {
      assert.equal((await limiter.take([bucket("cached")])).allowed, false);
    }
    assert.equal(upstash.commands.length, before);
  });

  await test.step("lets nobody use up what others share by being refused", async () => {
    const limiter = createUpstashLimiter(upstash, patienceMs);
    const ask = (address: string) => limiter.take([bucket(address, 2), bucket("all", 20)]);
    for (let index = 0; index < 40; index++) await ask("flood");
    assert.equal((await ask("shopper")).allowed, true);
  });

  await test.step("holds under a parallel burst", async () => {
    const limiter = createUpstashLimiter(upstash, patienceMs);
    const decisions = await Promise.all(
      Array.from({ length: 100 }, () => limiter.take([bucket("burst", 30)])),
    );
    assert.equal(decisions.filter((decision) => decision.allowed).length, 30);
  });

  await test.step("leaves Postgres alone while Upstash answers", async () => {
    const { limiter, postgresAsked } = limiterWith(upstash.url, upstash.token);
    for (let index = 0; index < 6; index++) await limiter.take([bucket("first tier")]);
    assert.equal((await limiter.take([bucket("first tier")])).allowed, false);
    assert.equal(postgresAsked(), 0);
  });

  await test.step("falls back to Postgres on a wrong token", async () => {
    const { limiter } = limiterWith(upstash.url, "wrong");
    assert.deepEqual(await limiter.take([bucket("a")]), fromPostgres);
  });

  await test.step("falls back to Postgres when Redis hangs, and asks it once only", async () => {
    upstash.mode = "hang";
    const { limiter, postgresAsked } = limiterWith(upstash.url, upstash.token);
    const before = upstash.requests;
    for (let index = 0; index < 20; index++) {
      assert.deepEqual(await limiter.take([bucket("hang")]), fromPostgres);
    }
    assert.equal(upstash.requests - before, 1, "the outage costs one slow request, not twenty");
    assert.equal(postgresAsked(), 20);
    upstash.mode = "serve";
  });
});

Deno.test({
  name: "the Upstash limiter falls back at once when the connection is refused",
  ignore: !available,
}, async () => {
  const settings = { url: "http://127.0.0.1:9", token: "token" };
  assert.deepEqual(
    await limiterWith(settings.url, settings.token).limiter.take([bucket("refused")]),
    fromPostgres,
  );
  const failure = await createUpstashLimiter(settings, patienceMs).take([bucket("refused")]).catch(String);
  assert(
    typeof failure === "string" && !failure.includes("in time"),
    `it waited: ${JSON.stringify(failure)}`,
  );
});
