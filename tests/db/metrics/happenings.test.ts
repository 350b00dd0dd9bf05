/** Each counter moves by the thing that it counts, and by nothing else. */
import assert from "node:assert/strict";
import { claim, expireLeases, finish } from "../jobs/queue.ts";
import { deliver } from "../settlement/arrange.ts";
import { paidOrder, tellAll, total } from "../settlement/refunded_order.ts";
import { searchDatabase, undone } from "../settlement/search.ts";
import { attachSession, beginOrder } from "../settlement/shop.ts";
import { Story } from "../settlement/story.ts";
import { counts, type Db, forget } from "./registry.ts";

const database = await searchDatabase(2);
const { sql } = database;
Deno.test.afterAll(() => database.drop());

const ofMoney = ["payments", "payment_attempts", "declines", "three_d_secure", "refunds", "disputes"];

/** An order whose payment page is open. */
async function openOrder(db: Db): Promise<Story> {
  const story = new Story(await beginOrder(db), 60, "T");
  await attachSession(db, story, "a");
  return story;
}

/** Tells the story in any order and twice: what is counted is what happened. */
async function tellTwice(db: Db, story: Story): Promise<void> {
  const { moves } = story;
  await deliver(db, [...moves.toReversed(), ...moves]);
  story.events.length = 0;
}

Deno.test("a decline and a payment are counted once, in whatever order and however often they are told", async () => {
  await undone(sql, async (tx) => {
    await forget(tx);
    const story = await openOrder(tx);
    story.declined("a");
    story.notAuthenticated("a");
    story.paid("a");
    const { moves } = story;
    const deliveries = moves.length;
    await tellTwice(tx, story);
    assert.deepEqual(await counts(tx, ...ofMoney), {
      "declines authentication": 1,
      "declines funds": 1,
      "payment_attempts failed": 2,
      "payment_attempts succeeded": 1,
      "payments": 1,
    });
    const delivered = await counts(tx, "webhook_deliveries", "webhook_lag_seconds");
    const ended = (outcome: string) =>
      Object.entries(delivered).reduce((sum, [key, n]) => key.endsWith(outcome) ? sum + n : sum, 0);
    assert.deepEqual([ended(" applied"), ended(" duplicate")], [deliveries, deliveries]);
    assert.equal(delivered["webhook_deliveries checkout.session.completed applied"], 1);
    assert.equal(delivered["webhook_lag_seconds delivered"], deliveries);
    // Applied anew, as redriving does, it is no later than it was.
    const again = moves.find((move) => move.call === "event" && move.type === "checkout.session.completed");
    assert(again?.call === "event");
    const [outcome] = await tx`select outcome
      from private.process_stripe_event((select e from public.webhook_events e where e.id = ${again.id}), ${
      tx.json(JSON.parse(JSON.stringify(again.facts)))
    }, null, null)`;
    assert.equal(outcome?.["outcome"], "applied");
    for (const error of ["it does not go", null]) {
      await tx`select private.process_stripe_event((select e from public.webhook_events e where e.id = ${again.id}), ${
        tx.json(JSON.parse(JSON.stringify(again.facts)))
      }, null, ${error})`;
    }
    assert.deepEqual(await counts(tx, "webhook_lag_seconds"), {
      "webhook_lag_seconds delivered": deliveries,
    });
    assert.deepEqual(await counts(tx, "mails", "objective_events"), {
      "mails order_confirmation queued": 1,
      "objective_events stock good": 1,
    });
  });
});

Deno.test("3D Secure is counted by its result, and a code that nobody knows is a class of its own", async () => {
  await undone(sql, async (tx) => {
    await forget(tx);
    const story = await openOrder(tx);
    story.declined("a");
    await deliver(tx, story.moves);
    await tx`update public.payment_attempts set three_d_secure_result = 'authenticated'`;
    await tx`update public.payment_attempts set three_d_secure_result = 'failed'`;
    const found = await tx`select private.decline_class(c) as class
      from unnest(array['stolen_card', 'incorrect_cvc', 'of_next_year', null]) c`;
    assert.deepEqual(found.map((row) => row["class"]), ["fraud", "details", "other", "other"]);
    assert.deepEqual(await counts(tx, "three_d_secure"), { "three_d_secure authenticated": 1 });
  });
});

Deno.test("refunds and disputes are counted by what became of them", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    await forget(tx);
    const refund = story.refunded(payment, "1", total, "pending");
    await tellTwice(tx, story);
    assert.deepEqual(await counts(tx, ...ofMoney), {});
    refund.settled("succeeded");
    await tellTwice(tx, story);
    refund.settled("failed");
    await tellTwice(tx, story);
    const dispute = story.disputed(payment, "d", "needs_response");
    await tellTwice(tx, story);
    dispute.closed("lost");
    await tellTwice(tx, story);
    assert.deepEqual(await counts(tx, ...ofMoney, "objective_events"), {
      "disputes lost": 1,
      "disputes needs_response": 1,
      "refunds failed": 1,
      "refunds succeeded": 1,
    });
  });
});

Deno.test("jobs are counted as they end, with how long they were due, and lost ones too", async () => {
  await undone(sql, async (tx) => {
    await tx`delete from private.jobs`;
    await forget(tx);
    const kinds = ["send_mail", "refresh_refund", "purge", "send_alert", "retry_event"];
    for (const kind of kinds) {
      await tx`select private.enqueue_job(${kind}, ${kind}, '{}', now() - interval '2 minutes', 100, 1)`;
    }
    const claimed = await claim(tx, 10);
    const [mail, refresh, purge, alert, retry] = kinds.map((kind) =>
      claimed.find((job) => job.kind === kind)
    );
    assert(mail && refresh && purge && alert && retry);
    await finish(tx, [mail], { outcome: "done" });
    await finish(tx, [mail], { outcome: "done" });
    await finish(tx, [refresh], { outcome: "discard" });
    await finish(tx, [purge], { outcome: "retry" });
    await finish(tx, [alert], { outcome: "snooze" });
    await expireLeases(tx);
    await tx`select private.recover_jobs()`;
    assert.deepEqual(await counts(tx, "jobs", "job_wait_seconds"), {
      "job_wait_seconds purge": 1,
      "job_wait_seconds refresh_refund": 1,
      "job_wait_seconds retry_event": 1,
      "job_wait_seconds send_alert": 1,
      "job_wait_seconds send_mail": 1,
      "jobs purge dead": 1,
      "jobs refresh_refund discarded": 1,
      "jobs retry_event lost": 1,
      "jobs send_alert retried": 1,
      "jobs send_mail done": 1,
    });
    const waits = await tx`select distinct bucket, total from private.metric_series
      where metric = 'job_wait_seconds' and count > 0`;
    assert.deepEqual([...waits], [{ bucket: 4, total: 120 }], "two minutes are in the bucket up to five");
  });
});

Deno.test("refused requests, repairs, breakers and events of nobody's are counted", async () => {
  await undone(sql, async (tx) => {
    await forget(tx);
    await tx`select public.record_webhook_rejection('invalid_signature', '203.0.113.7', 12)`;
    await tx`insert into public.reconciliation_drift (run_id, kind, object_id)
      values (gen_random_uuid(), 'payment', 'pi_1'), (gen_random_uuid(), 'charge', 'ch_1'),
        (gen_random_uuid(), 'early_fraud_warning', 'issfr_1'), (gen_random_uuid(), 'review', 'prv_1')`;
    for (let outage = 0; outage < 7; outage++) {
      await tx`select private.note_provider('stripe', 0, 1, false, 'down')`;
    }
    for (
      const [id, reason] of [["evt_1", "unsubscribed_type"], ["evt_1", "unsubscribed_type"], ["evt_2", null]]
    ) {
      await tx`select public.receive_stripe_event(${
        id ?? ""
      }, ${`type.of.${id}`}, false, 'v', now(), null, '{}',
        ${reason === null ? tx.json([]) : null}, ${reason ?? null}, null, '[]')`;
    }
    assert.deepEqual(
      await counts(
        tx,
        "webhook_refusals",
        "reconciliation_drift",
        "provider_breaker_openings",
        "webhook_deliveries",
      ),
      {
        "provider_breaker_openings stripe": 1,
        "reconciliation_drift charge": 1,
        "reconciliation_drift early_fraud_warning": 1,
        "reconciliation_drift payment": 1,
        "reconciliation_drift review": 1,
        "webhook_deliveries other duplicate": 1,
        "webhook_deliveries other ignored": 1,
        "webhook_deliveries type.of.evt_2 ignored": 1,
        "webhook_refusals invalid_signature": 12,
      },
    );
    const [open] = await tx`select total from private.metric_gauges() where metric = 'provider_breaker_open'`;
    assert.equal(open?.["total"], 1);
  });
});

Deno.test("a mail is counted in each status, and judged once its five minutes are over", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidOrder(tx);
    const [first] = await tx`select id from public.notifications`;
    const copies = ["late", "waiting", "skipped", "failed"];
    for (const key of copies) {
      await tx`insert into public.notifications (order_id, template, dedupe_key)
        values (${story.frame.orderId}, 'refund_issued', ${key})`;
    }
    await forget(tx);
    const note = (id: string, status: string) =>
      tx`select public.record_notification_result(${id}, ${status}, 'a@example.com', 'x', null)`;
    const idOf = async (key: string) =>
      (await tx`select id from public.notifications where dedupe_key = ${key}`)[0]?.["id"];
    await note(first?.["id"], "sent");
    for (const key of ["late", "skipped", "failed"]) {
      await note(await idOf(key), key === "late" ? "sent" : key);
    }
    for (let report = 0; report < 2; report++) {
      await tx`select public.record_mail_event(${
        first?.["id"]
      }, 'x', 'delivered', null, 'a@example.com', now(), null)`;
    }
    assert.deepEqual(await counts(tx, "mails", "mail_delay_seconds"), {
      "mail_delay_seconds": 2,
      "mails order_confirmation delivered": 1,
      "mails order_confirmation sent": 1,
      "mails refund_issued failed": 1,
      "mails refund_issued sent": 1,
      "mails refund_issued skipped": 1,
    });

    const judged = async () => {
      await tx`select private.count_objectives()`;
      return await counts(tx, "objective_events");
    };
    await tx`update private.objectives set counted_until = now() - interval '1 hour'`;
    await tx`update public.webhook_events set status = 'ignored'`;
    assert.deepEqual(await judged(), {}, "nobody's five minutes are over");
    await tx`update public.notifications set created_at = now() - interval '10 minutes',
      sent_at = sent_at - case dedupe_key when 'late' then interval '4 minutes' else interval '9 minutes' end`;
    await tx`update private.objectives set counted_until = now() - interval '1 hour'`;
    const once = { "objective_events mail bad": 3, "objective_events mail good": 1 };
    assert.deepEqual(await judged(), once, "late, waiting and failed; what is skipped counts for nothing");
    assert.deepEqual(await judged(), once, "each once");
    const [day] =
      await tx`select good::integer, bad::integer from private.objective_days where objective = 'mail'`;
    assert.deepEqual(day, { good: 1, bad: 3 });
  });
});

Deno.test("events are good when they were settled within ten seconds of when they happened", async () => {
  await undone(sql, async (tx) => {
    await paidOrder(tx);
    await forget(tx);
    const [shape] = await tx`select count(*)::integer as count from public.webhook_events`;
    await tx`update public.webhook_events set received_at = now() - interval '5 minutes',
      stripe_created_at = now() - interval '5 minutes 1 second', processed_at = now() - interval '5 minutes'`;
    await tx`update public.webhook_events set processed_at = processed_at + interval '10 seconds'
      where type = 'charge.succeeded'`;
    await tx`update public.webhook_events set status = 'failed', processed_at = null
      where type = 'payment_intent.succeeded'`;
    await tx`insert into public.webhook_events
        (id, type, status, livemode, stripe_created_at, received_at, processed_at, payload)
      select 'evt_of_others', type, 'ignored', livemode, stripe_created_at, received_at, now(), '{}'
      from public.webhook_events limit 1`;
    await tx`update private.objectives set counted_until = now() - interval '10 minutes'`;
    await tx`select private.count_objectives()`;
    assert.deepEqual(await counts(tx, "objective_events"), {
      "objective_events webhook bad": 2,
      "objective_events webhook good": Number(shape?.["count"]) - 2,
    });
  });
});

Deno.test("an order that is paid after its goods have gone is bad for the objective stock, once", async () => {
  await undone(sql, async (tx) => {
    const story = await openOrder(tx);
    story.expired("a");
    await tellAll(tx, story);
    const other = new Story(await beginOrder(tx), 60, "U");
    await attachSession(tx, other, "a");
    other.paid("a");
    await deliver(tx, other.moves);
    await forget(tx);
    story.paid("b", {}, "a");
    await tellTwice(tx, story);
    assert.deepEqual(await counts(tx, "objective_events"), { "objective_events stock bad": 1 });
  });
});

Deno.test("requests count for the objectives of their function: failed or slow ones are bad", async () => {
  await undone(sql, async (tx) => {
    await forget(tx);
    const sample = (name: string, outcome: string, ...values: number[]) => ({
      metric: "request_duration_seconds",
      labels: [name, outcome],
      values,
    });
    await tx`select public.record_metrics(${
      tx.json([
        sample("create-checkout-session", "ok", 0.2, 10, 10.1),
        sample("create-checkout-session", "refused", 0.1),
        sample("create-checkout-session", "failed", 0.1, 0.2),
        sample("order-status", "ok", 0.1),
        sample("health", "failed", 0.1),
      ])
    })`;
    assert.deepEqual(await counts(tx, "objective_events"), {
      "objective_events checkout bad": 3,
      "objective_events checkout good": 3,
      "objective_events page good": 1,
    });
  });
});

Deno.test("the gauges of stock follow it, once a minute", async () => {
  await undone(sql, async (tx) => {
    await openOrder(tx);
    const gauges = async () => {
      await tx`select private.measure_stock()`;
      const rows =
        await tx`select total from private.metric_series where metric like 'stock_%' order by metric`;
      return rows.map((row) => row["total"]);
    };
    await tx`delete from private.heartbeats`;
    assert.deepEqual(await gauges(), [2, 1]);
    await tx`update public.inventory_levels set on_hand = on_hand + 100`;
    assert.deepEqual(await gauges(), [2, 1], "not within the minute");
    await tx`update private.heartbeats set last_at = now() - interval '2 minutes'`;
    assert.deepEqual(await gauges(), [2, 0]);
  });
});
