/** Any life of two alerts of one kind ends with staff knowing how they are: told of what is open, and of what is over. */
import assert from "node:assert/strict";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { firstSeed, randomFrom, runs } from "../settlement/runs.ts";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Step = "raise" | "warn" | "resolve" | "acknowledge" | "close" | "open" | "work" | "lose" | "later";
const steps: Step[] = [
  "raise",
  "warn",
  "resolve",
  "acknowledge",
  "close",
  "open",
  "work",
  "work",
  "lose",
  "later",
];

const pass = () =>
  sql`update private.alert_incidents set told_at = told_at - interval '1 hour', telling_until = telling_until - interval '1 hour'`;

/** Runs the jobs that wait, oldest first. `lost`: the message goes out and its worker dies before it can say so. */
async function work(lost = false): Promise<number> {
  const jobs = await sql`select id, payload ->> 'alert_id' as alert from private.jobs
    where kind = 'send_alert' and status = 'queued' order by id`;
  let ended = 0;
  for (const { id, alert } of jobs) {
    const [row] = await sql`select public.take_alert_message(${alert}) as message`;
    const message = row?.["message"];
    if (message.outcome === "wait") continue;
    if (message.outcome === "tell" && lost) continue;
    if (message.outcome === "tell") {
      await sql`select public.record_alert_message(${message.alert_ids}::uuid[], ${message.over})`;
    }
    await sql`update private.jobs set status = 'done', finished_at = now() where id = ${id}`;
    ended += 1;
  }
  return ended;
}

async function take(step: Step, key: string): Promise<void> {
  switch (step) {
    case "raise":
    case "warn":
      await sql`select private.raise_alert('life', ${step === "raise" ? "critical" : "warning"}, ${key})`;
      return;
    case "resolve":
      await sql`update public.alerts set status = 'resolved', data = data - 'over'
        where dedupe_key = ${key} and status <> 'resolved'`;
      return;
    case "acknowledge":
      await sql`update public.alerts set status = 'acknowledged' where dedupe_key = ${key} and status = 'open'`;
      return;
    case "close":
    case "open":
      await sql`select private.follow_alert(${key}, ${step === "open"})`;
      return;
    case "work":
    case "lose":
      await work(step === "lose");
      return;
    case "later":
      await pass();
  }
}

Deno.test("whatever happens to two alerts of a kind, staff are told of those that are open and of those that are over", async () => {
  for (let run = 0; run < runs; run++) {
    const seed = firstSeed + run;
    const random = randomFrom(seed);
    await sql`truncate private.jobs, public.alerts, private.alert_incidents`;
    const life: string[] = [];
    for (let n = 0; n < 14; n++) {
      const step = steps[Math.floor(random() * steps.length)] ?? "work", key = random() < 0.6 ? "a" : "b";
      life.push(`${step} ${key}`);
      await take(step, key);
    }
    for (let round = 0; round < 6; round++) {
      await pass();
      await work();
    }
    const rows = await sql`select dedupe_key as key, status, told_at is not null as told,
        over_told_at is not null as over, severity from public.alerts order by 1`;
    const what = `seed ${seed}: ${life.join(", ")} => ${JSON.stringify(rows)}`;
    for (const { status, told, over, severity } of rows) {
      if (status === "open" && severity === "critical") assert(told && !over, `untold: ${what}`);
    }
    if (!rows.some(({ status, told }) => status !== "resolved" && told)) {
      for (const { status, told, over } of rows) {
        if (status === "resolved" && told) assert(over, `not over: ${what}`);
      }
    }
  }
});
