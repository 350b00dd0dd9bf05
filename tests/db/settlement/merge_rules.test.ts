import assert from "node:assert/strict";
import { searchDatabase, undone } from "./search.ts";
import { beginOrder } from "./shop.ts";
import { firstSeed, randomFrom, runs, shuffledWithDuplicates } from "./runs.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Random = () => number;
type Fact = Record<string, unknown>;

/** Few values, so that facts often agree in some fields and tie in others. */
function pick<T>(random: Random, ...values: T[]): T {
  const value = values[Math.floor(random() * values.length)];
  assert(value !== undefined);
  return value;
}

const base = 1_793_500_000;
const text = (random: Random) => pick(random, null, "one", "two");
const amount = (random: Random) => pick(random, 100, 200);

/** What Stripe never changes about an object may be missing from a fact, but is the same in all that have it. */
const fixed = (random: Random, value: string) => pick(random, null, value, value);

const kinds: { name: string; table: string; fact: (random: Random) => Fact }[] = [
  {
    name: "checkout_session",
    table: "public.checkout_sessions",
    fact: (r) => ({
      id: "cs_1",
      attempt: pick(r, null, 1),
      status: pick(r, "open", "complete", "expired", "a new one"),
      payment_status: pick(r, "unpaid", "paid", "no_payment_required", "a new one"),
      async_payment_failed: pick(r, true, false, false),
      awaited_payment: pick(r, true, false, null),
      presentment_amount: pick(r, null, 90),
      payment_id: null,
      customer_id: text(r),
      currency: pick(r, "usd", "eur"),
      amount_subtotal: amount(r),
      amount_total: amount(r),
      livemode: pick(r, true, false),
      cart_hash: text(r),
      email: text(r),
      shipping_address: pick(r, null, { city: "Portland" }),
      business: pick(r, null, { name: "Turner Ltd", tax_ids: [] }),
      url: fixed(r, "https://pay.example"),
      recovered_from: fixed(r, "cs_0"),
      terms_consent: fixed(r, "accepted"),
      promotions_consent: fixed(r, "opt_in"),
      expires_at: pick(r, base, base + 1),
    }),
  },
  {
    name: "payment",
    table: "public.payments",
    fact: (r) => ({
      id: "pi_1",
      status: pick(
        r,
        "processing",
        "requires_payment_method",
        "requires_action",
        "canceled",
        "succeeded",
        "a new one",
      ),
      amount: amount(r),
      amount_received: amount(r),
      currency: pick(r, "usd", "eur"),
      livemode: pick(r, true, false),
      customer_id: text(r),
      charge_id: text(r),
      presentment_amount: pick(r, null, 90),
      presentment_currency: pick(r, null, "gbp"),
      failure_code: text(r),
    }),
  },
  {
    name: "payment_attempt",
    table: "public.payment_attempts",
    fact: (r) => ({
      id: "ch_1",
      payment_id: "pi_1",
      livemode: pick(r, true, false),
      outcome: pick(r, "pending", "failed", "blocked", "succeeded", "a new one"),
      amount: pick(r, null, 100, 200),
      risk_score: pick(r, null, 1, 2),
      card_last4: pick(r, "4242", "1881"),
      created: base,
    }),
  },
  {
    name: "refund",
    table: "public.refunds",
    fact: (r) => ({
      id: "re_1",
      payment_id: fixed(r, "pi_1"),
      charge_id: fixed(r, "ch_1"),
      request_id: fixed(r, "request"),
      amount: amount(r),
      currency: "usd",
      status: pick(r, "pending", "requires_action", "succeeded", "failed", "canceled", "a new one"),
      failure_reason: text(r),
      created: base,
    }),
  },
  {
    name: "dispute",
    table: "public.disputes",
    fact: (r) => ({
      id: "du_1",
      payment_id: fixed(r, "pi_1"),
      charge_id: fixed(r, "ch_1"),
      livemode: false,
      amount: amount(r),
      currency: "usd",
      reason: pick(r, "fraudulent", "general"),
      status: pick(r, "needs_response", "under_review", "won", "lost", "warning_closed", "a new one"),
      evidence_due_by: pick(r, null, base + 5, base + 9),
      evidence_submission_count: pick(r, 0, 1),
      has_evidence: pick(r, true, false),
      funds_withdrawn: pick(r, true, false),
      funds_reinstated: pick(r, true, false),
      funds_reinstated_at: pick(r, null, base - 7, base + 3),
      created: base,
    }),
  },
  {
    name: "fraud_signal",
    table: "public.fraud_signals",
    fact: (r) => ({
      id: "prv_1",
      kind: "review",
      payment_id: fixed(r, "pi_1"),
      charge_id: fixed(r, "ch_1"),
      livemode: false,
      open: pick(r, true, false),
      reason: text(r),
      created: base,
    }),
  },
  {
    name: "customer",
    table: "private.stripe_customers",
    fact: (r) => ({
      id: "cus_1",
      livemode: false,
      email: text(r),
      name: text(r),
      deleted: pick(r, true, false, false),
    }),
  },
];

const inOrder = [0, 1, 2];
const permutations = [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

for (const { name, table, fact } of kinds) {
  Deno.test(`merging ${name} facts is commutative, associative and idempotent`, async () => {
    await undone(sql, async (tx) => {
      const { orderId } = await beginOrder(tx);
      const seen = new Set<string>();
      for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
        const random = randomFrom(seed);
        const facts = inOrder.map(() => ({
          fact: { fact: name, ...fact(random) },
          // The same second, the next, and days later.
          at: base + pick(random, 0, 0, 1, 200_000),
          source: pick(random, "intent", "session"),
        }));
        const merge = async (sequence: number[]) => {
          const [row] = await tx`select search.merged(${table}, ${tx.json(JSON.parse(JSON.stringify(facts)))},
            ${sequence}::integer[], ${orderId}) as rows`;
          return JSON.stringify(row?.["rows"]);
        };
        const expected = await merge(inOrder);
        seen.add(expected);
        for (
          const sequence of [...permutations, shuffledWithDuplicates(3, random), [0, 0, 1, 1, 2, 2, 0, 1, 2]]
        ) {
          assert.equal(await merge(sequence), expected, `CONVERGENCE_SEED=${seed}, order ${sequence}`);
        }
      }
      assert(seen.size > 10, "the facts differ from run to run");
    });
  });
}

const session = {
  fact: "checkout_session",
  id: "cs_1",
  attempt: 1,
  status: "complete",
  payment_status: "unpaid",
  async_payment_failed: false,
  livemode: false,
  currency: "usd",
  amount_subtotal: 100,
  amount_total: 100,
  email: "ada@example.com",
  shipping_name: "Ada Turner",
  shipping_address: { city: "Portland", country: "US" },
  expires_at: base,
};
/** The same event as an older release, or an older API version, told it. */
const poorer = { ...session, shipping_name: null, shipping_address: null };

async function sessionAfter(facts: { fact: Fact; at: number }[]) {
  return await undone(sql, async (tx) => {
    const { orderId } = await beginOrder(tx);
    for (const { fact, at } of facts) {
      await tx`select private.merge_checkout_session(${
        tx.json(JSON.parse(JSON.stringify(fact)))
      }, ${orderId}, to_timestamp(${at}))`;
    }
    const [row] = await tx<
      { status: string; payment_status: string; city: string | null; name: string | null; email: string }[]
    >`
      select status, payment_status, shipping_address ->> 'city' as city, shipping_name as name, email
      from public.checkout_sessions where id = 'cs_1'`;
    assert(row !== undefined);
    return row;
  });
}

Deno.test("of two translations of one event the fuller one stays, in either order", async () => {
  const [full, poor] = [{ fact: session, at: base }, { fact: poorer, at: base }];
  for (const facts of [[poor, full], [full, poor], [poor, full, poor]]) {
    assert.deepEqual(await sessionAfter(facts).then(({ city, name }) => [city, name]), [
      "Portland",
      "Ada Turner",
    ]);
  }
});

Deno.test("an address that is known is not lost to a later event that cannot carry it", async () => {
  const later = { fact: { ...poorer, payment_status: "paid", email: "later@example.com" }, at: base + 60 };
  for (const facts of [[{ fact: session, at: base }, later], [later, { fact: session, at: base }]]) {
    const row = await sessionAfter(facts);
    assert.deepEqual([row.payment_status, row.city], ["paid", "Portland"]);
  }
  const moved = { ...session, payment_status: "paid", shipping_address: { city: "Salem", country: "US" } };
  const corrected = await sessionAfter([{ fact: moved, at: base + 60 }, { fact: session, at: base }]);
  assert.equal(corrected.city, "Salem", "a later address takes its place");
});

Deno.test("a fact that is merged again repairs its row", async () => {
  await undone(sql, async (tx) => {
    const { orderId } = await beginOrder(tx);
    const merge = () =>
      tx`select private.merge_checkout_session(${
        tx.json(session as Parameters<typeof tx.json>[0])
      }, ${orderId}, to_timestamp(${base}))`;
    await merge();
    const [before] = await tx`select * from public.checkout_sessions where id = 'cs_1'`;
    await tx`update public.checkout_sessions set shipping_address = null, amount_total = 1 where id = 'cs_1'`;
    await merge();
    const [after] = await tx`select * from public.checkout_sessions where id = 'cs_1'`;
    assert.deepEqual({ ...after }, { ...before });
  });
});

/** States of one object, each beating all before it, whatever the clock says. */
const ladders: { name: string; table: string; column: string; states: string[]; fact: Fact }[] = [
  {
    name: "checkout_session",
    table: "public.checkout_sessions",
    column: "status",
    states: ["a new one", "open", "expired", "complete"],
    fact: session,
  },
  {
    name: "checkout_session",
    table: "public.checkout_sessions",
    column: "payment_status",
    states: ["a new one", "unpaid", "no_payment_required", "paid"],
    fact: session,
  },
  {
    name: "payment",
    table: "public.payments",
    column: "status",
    states: ["processing", "canceled", "succeeded"],
    fact: { id: "pi_1", amount: 100, amount_received: 100, currency: "usd", livemode: false },
  },
  {
    name: "payment_attempt",
    table: "public.payment_attempts",
    column: "outcome",
    states: ["a new one", "pending", "failed", "blocked", "succeeded"],
    fact: { id: "ch_1", payment_id: "pi_1", livemode: false, created: base },
  },
];

for (const { name, table, column, states, fact } of ladders) {
  Deno.test(`${column} of a ${name} only ever goes up: ${states.join(", ")}`, async () => {
    for (const [rank, lower] of states.entries()) {
      for (const higher of states.slice(rank + 1)) {
        // The lower one is heard of last, and is the newer one too.
        for (const told of [[higher, lower], [lower, higher]]) {
          await undone(sql, async (tx) => {
            const { orderId } = await beginOrder(tx);
            for (const state of told) {
              await tx`select ${tx.unsafe(`private.merge_${name}`)}(${
                tx.json(JSON.parse(JSON.stringify({ ...fact, [column]: state })))
              }, ${orderId}, to_timestamp(${base + (state === lower ? 60 : 0)}))`;
            }
            const rows = await tx.unsafe(`select ${column} as state from ${table}`);
            assert.deepEqual(rows.map(({ state }) => state), [higher], told.join(" then "));
          });
        }
      }
    }
  });
}

Deno.test("what a payment says of itself stands against what its session says, whichever is newer", async () => {
  const told = { id: "pi_1", status: "succeeded", currency: "usd", livemode: false };
  const own = { fact: { ...told, amount: 100, amount_received: 100 }, source: "intent", at: base };
  const sessions = { fact: { ...told, amount: 200, amount_received: 200 }, source: "session", at: base + 60 };
  for (const words of [[own, sessions], [sessions, own]]) {
    await undone(sql, async (tx) => {
      const { orderId } = await beginOrder(tx);
      for (const { fact, source, at } of words) {
        await tx`select private.merge_payment(${tx.json(fact)}, ${orderId}, to_timestamp(${at}), ${source})`;
      }
      const rows = await tx`select amount::int, amount_received::int as received from public.payments`;
      assert.deepEqual(rows.map((row) => ({ ...row })), [{ amount: 100, received: 100 }]);
    });
  }
});

Deno.test("of two reports of one second the one that says more stays, whatever their hashes", async () => {
  for (let at = 0; at < 8; at++) {
    const fuller = { ...session, cart_hash: `hash-${at}`, amount_tax: 5 };
    const reports = [fuller, { ...fuller, amount_tax: null }].map((fact) => ({ fact, at: base }));
    for (const told of [reports, reports.toReversed()]) {
      await undone(sql, async (tx) => {
        const { orderId } = await beginOrder(tx);
        for (const { fact, at } of told) {
          await tx`select private.merge_checkout_session(${tx.json(fact)}, ${orderId}, to_timestamp(${at}))`;
        }
        const rows = await tx`select amount_tax::int as tax from public.checkout_sessions where id = 'cs_1'`;
        assert.deepEqual(rows.map(({ tax }) => tax), [5], `hash-${at}`);
      });
    }
  }
});
