import assert from "node:assert/strict";
import { createAllowlist } from "../../supabase/functions/stripe-webhook/allowlist.ts";
import { fixedClock, keptLog } from "./fakes.ts";
import { nonEmpty } from "../support/non_empty.ts";

function world(answers: (string[] | Error)[]) {
  const clock = fixedClock();
  let loads = 0;
  const allowlist = createAllowlist({
    rpc: {
      getWebhookAllowlist: () => {
        const answer = answers[Math.min(loads++, answers.length - 1)];
        return answer instanceof Error || answer === undefined
          ? Promise.reject(answer ?? new Error("no answer"))
          : Promise.resolve({ addresses: answer, refreshed_at: null });
      },
    },
    extraAddresses: ["127.0.0.1"],
    log: keptLog().log,
    now: clock.now,
  });
  return { allowlist, clock, loads: () => loads };
}

Deno.test("createAllowlist() loads once for many requests", async () => {
  const { allowlist, loads } = world([["3.18.12.63"]]);
  const answers = await Promise.all(Array.from({ length: 50 }, () => allowlist.check("3.18.12.63")));
  assert(nonEmpty(answers).every((answer) => answer === "listed"));
  assert.equal(loads(), 1);
});

Deno.test("createAllowlist() knows the extra addresses without the database", async () => {
  const { allowlist, loads } = world([new Error("down")]);
  assert.equal(await allowlist.check("127.0.0.1"), "listed");
  assert.equal(loads(), 0);
});

Deno.test("createAllowlist() is unknown while nothing could be loaded, and tries again", async () => {
  const { allowlist, clock } = world([new Error("down"), ["3.18.12.63"]]);
  assert.equal(await allowlist.check("3.18.12.63"), "unknown");
  clock.advance(2_000);
  assert.equal(await allowlist.check("3.18.12.63"), "listed");
});

Deno.test("createAllowlist() looks again before it refuses an address, at most every 15 seconds", async () => {
  const { allowlist, clock, loads } = world([["3.18.12.63"], ["3.18.12.63"], ["3.18.12.63", "3.3.3.3"]]);
  assert.equal(await allowlist.check("3.18.12.63"), "listed");
  clock.advance(15_000);
  for (let index = 0; index < 20; index++) assert.equal(await allowlist.check("3.3.3.3"), "unlisted");
  assert.equal(loads(), 2);
  clock.advance(15_000);
  assert.equal(await allowlist.check("3.3.3.3"), "listed");
  assert.equal(loads(), 3);
});

Deno.test("createAllowlist() refreshes a stale list behind the request and keeps it when that fails", async () => {
  const { allowlist, clock, loads } = world([["3.18.12.63"], new Error("down"), ["3.3.3.3"]]);
  await allowlist.check("3.18.12.63");
  clock.advance(5 * 60_000);
  assert.equal(await allowlist.check("3.18.12.63"), "listed");
  assert.equal(loads(), 2);
  await allowlist.warm();
  assert.equal(await allowlist.check("3.18.12.63"), "listed", "a failed refresh empties nothing");
});
