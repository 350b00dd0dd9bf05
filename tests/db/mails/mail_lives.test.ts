/**
 * Any life of an order's mails: the worker's own code, the real SQL, and a provider that loses answers, is down, refuses
 * and reports late. In the end each mail has gone out at most once, nothing waits for nobody, and staff are told of what
 * did not go out, and of nothing else.
 */
import assert from "node:assert/strict";
import type postgres from "postgres";
import {
  type JobContext,
  type Outcome,
  resultOf,
  runJob,
} from "../../../supabase/functions/_shared/jobs/mod.ts";
import type { Job } from "../../../supabase/functions/_shared/database/jobs.ts";
import { notificationCalls } from "../../../supabase/functions/_shared/database/notifications.ts";
import { fakeCall, keptLog, testEnv } from "../../unit/fakes.ts";
import { expireLeases } from "../jobs/queue.ts";
import { paidCart, ship } from "../settlement/goods.ts";
import { firstSeed, randomFrom, runs } from "../settlement/runs.ts";
import { searchDatabase, undone } from "../settlement/search.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;
type Mood = "well" | "lost" | "down" | "refused" | "odd";

/** A provider as Resend is: one mail for each key, whatever is asked again. */
class Provider {
  mood: Mood = "well";
  readonly taken = new Map<string, { to: string; body: string; count: number; notification: string }>();
  readonly fetch: typeof fetch = (_url, init) => {
    const key = new Headers(init?.headers).get("idempotency-key") ?? "", body = String(init?.body);
    const { to, tags } = JSON.parse(body);
    if (this.mood === "down") {
      return Promise.resolve(Response.json({ name: "application_error" }, { status: 500 }));
    }
    const before = this.taken.get(key);
    if (before !== undefined && before.body !== body) {
      return Promise.resolve(Response.json({ name: "invalid_idempotent_request" }, { status: 409 }));
    }
    if (before === undefined && this.mood === "refused") {
      return Promise.resolve(
        Response.json({ name: "invalid_to_address", message: "Invalid `to`" }, { status: 422 }),
      );
    }
    if (before === undefined && this.mood === "odd") {
      return Promise.resolve(Response.json({ name: "validation_error", message: "?" }, { status: 422 }));
    }
    if (before === undefined) this.taken.set(key, { to, body, count: 1, notification: tags[0].value });
    if (this.mood === "lost") return Promise.reject(new TypeError("connection lost"));
    return Promise.resolve(Response.json({ id: `mail_${key}` }));
  };
}

function contextOf(tx: Tx, provider: Provider): JobContext {
  const call = fakeCall(async (name, args) => {
    const names = Object.keys(args);
    const values = Object.values(args) as postgres.ParameterOrJSON<never>[];
    const list = names.map((name, at) => `${name} => $${at + 1}`).join(", ");
    const [row] = await tx.unsafe(`select to_jsonb(public.${name}(${list})) as it`, values);
    return row?.["it"];
  });
  return {
    env: testEnv({ RESEND_API_KEY: "re_unit_tests", EMAIL_FROM: "Shop <orders@example.com>" }),
    rpc: notificationCalls(call) as unknown as JobContext["rpc"],
    stripe: {} as JobContext["stripe"],
    fetch: provider.fetch,
    now: Date.now,
    log: keptLog().log,
  };
}

/** Claims what is due and runs it; `dies`: before it can tell the queue, or even the database. */
async function work(tx: Tx, provider: Provider, dies: "never" | "before" | "after" = "never"): Promise<void> {
  await tx`update private.jobs set run_at = now() where kind = 'send_mail' and status = 'queued'`;
  await tx`update private.circuit_breakers set open_until = now()  where open_until is not null`;
  await tx`update private.jobs set run_at = now() + interval '1 year' where kind <> 'send_mail' and status = 'queued'`;
  const rows = await tx`select to_jsonb(j) as job from public.claim_jobs('w', 10, 60) j`;
  const context = contextOf(tx, provider);
  const results = [];
  for (const { job } of rows as unknown as { job: Job }[]) {
    let outcome: Outcome;
    if (dies === "before") {
      const told = context.rpc.recordNotificationResult;
      context.rpc.recordNotificationResult = () => Promise.reject(new Error("killed"));
      await runJob(job, context);
      context.rpc.recordNotificationResult = told;
      continue;
    } else {
      outcome = await runJob(job, context);
    }
    results.push(resultOf(job, outcome));
  }
  if (dies === "never" && results.length > 0) {
    await tx`select public.finish_jobs(${tx.json(results as unknown as postgres.JSONValue)})`;
  }
  await expireLeases(tx);
}

/** The provider reports a mail that it has taken. */
async function report(tx: Tx, provider: Provider, status: string, nth: number): Promise<void> {
  const [key, mail] = [...provider.taken][nth % Math.max(1, provider.taken.size)] ?? [];
  if (key === undefined || mail === undefined) return;
  await tx`select public.record_mail_event(${mail.notification}::uuid, ${`mail_${key}`}, ${status}, false, ${mail.to},
    now(), null)`;
}

async function tries(tx: Tx, statement: () => PromiseLike<unknown>): Promise<void> {
  await tx`savepoint asked`;
  try {
    await statement();
  } catch {
    await tx`rollback to savepoint asked`;
  }
}

Deno.test("whatever happens to an order's mails, each goes out once, and staff are told of those alone that did not", async () => {
  for (let run = 0; run < runs / 2; run++) {
    const seed = firstSeed + run, random = randomFrom(seed);
    const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T;
    await undone(sql, async (tx) => {
      const provider = new Provider();
      const { story } = await paidCart(tx);
      const { orderId, orderNumber } = story.frame;
      await tx`update public.orders set email = 'first@example.com' where id = ${orderId}`;
      await tx`update private.job_kinds set max_attempts = 3 where kind = 'send_mail'`;
      const life: string[] = [];
      let parcels = 0;
      const steps: Record<string, () => Promise<void>> = {
        work: () => work(tx, provider),
        die: () => work(tx, provider, "before"),
        "die late": () => work(tx, provider, "after"),
        mood: () =>
          Promise.resolve(void (provider.mood = pick(["well", "well", "lost", "down", "refused", "odd"]))),
        ship: async () => {
          if (parcels < 3) await ship(tx, story, [{ sku: "SHIRT", quantity: 1 }]);
          parcels += 1;
        },
        correct: async () =>
          void await tx`update public.orders set email = ${`a${
            Math.floor(random() * 9)
          }@example.com`} where id = ${orderId}`,
        rename: async () =>
          void await tx`update private.settings set value = ${tx.json(`Shop ${Math.floor(random() * 9)}`)}
            where key = 'shop_name'`,
        delivered: () => report(tx, provider, "delivered", Math.floor(random() * 9)),
        failed: () => report(tx, provider, "failed", Math.floor(random() * 9)),
        resend: () =>
          tries(
            tx,
            () =>
              tx`select public.resend_notification(${orderNumber}, ${
                pick(["order_confirmation", "order_shipped"])
              })`,
          ),
        redrive: () =>
          tries(
            tx,
            () =>
              tx`select private.redrive_job(id) from private.jobs where kind = 'send_mail' and status = 'dead'`,
          ),
      };
      for (let n = 0; n < 18; n++) {
        const step = pick([...Object.keys(steps), "work", "work", "mood"]);
        await steps[step]?.();
        life.push(step === "mood" ? provider.mood : step);
        // Each moment is later than the one before, which a transaction does not see.
        await tx`update public.notifications set created_at = created_at - interval '1 minute'`;
      }
      provider.mood = "well";
      for (let n = 0; n < 5; n++) await work(tx, provider);
      for (let n = 0; n < provider.taken.size; n++) await report(tx, provider, "delivered", n);

      const mails =
        await tx`select n.id, n.template, n.dedupe_key, n.status, n.sent_at is not null as sent, n.recipient,
          n.template || private.mail_subject(n) as about,
          j.status as job, exists (
            select 1 from public.alerts a where a.status <> 'resolved' and a.dedupe_key in (
              'job_dead:' || j.dedupe_key, 'job_discarded:' || j.dedupe_key, 'mail_failed:' || j.dedupe_key)
          ) as told
        from public.notifications n left join private.jobs j on j.payload ->> 'notification_id' = n.id::text
        where n.order_id = ${orderId} order by n.created_at`;
      const what = `seed ${seed}: ${life.join(", ")} => ${JSON.stringify(mails)}`;
      for (const { id, status, sent, job, told, recipient, about } of mails) {
        const taken = provider.taken.get(`notification_${id}`);
        assert.equal(sent, taken !== undefined, `sent is what was taken: ${what}`);
        if (taken !== undefined) assert.equal(recipient, taken.to, `it went elsewhere: ${what}`);
        if (status === "queued") assert.equal(job, "dead", `it waits for nobody: ${what}`);
        if (job === "dead") assert.match(status, /^(queued|failed)$/, `it was given up: ${what}`);
        const repeated = mails.some((mail) =>
          mail["sent"] && mail["about"] === about && /^resend:/.test(mail["dedupe_key"])
        );
        if ((job === "dead" || status === "failed") && !repeated) assert(told, `nobody knows: ${what}`);
        if (sent && status === "sent") assert(!told, `told of what went out: ${what}`);
        assert.notEqual(job, "queued", what);
      }
    });
  }
});
