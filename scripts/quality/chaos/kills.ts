/** When to kill whom: at a random moment, or at a named point that a call passes. */
import type { Passing } from "./proxy.ts";
import type { Random } from "./random.ts";
import type { Victim, World } from "./world.ts";
import { connect } from "../../lib/connection.ts";

/** A point in a call after which, or before which, the caller dies. */
interface Point {
  victim: "functions" | "worker";
  phase: Passing["phase"];
  call: RegExp;
  /** Only when the response says so. */
  body?: RegExp;
}

/** The points at which a crash has hurt other systems. */
export const points: Record<string, Point> = {
  "after the order is made": { victim: "functions", phase: "response", call: /rpc\/begin_checkout$/ },
  "after Stripe made the session": {
    victim: "functions",
    phase: "response",
    call: /^POST \/v1\/checkout\/sessions$/,
  },
  "before the session is noted": {
    victim: "functions",
    phase: "request",
    call: /rpc\/attach_checkout_session$/,
  },
  "before the event is stored": { victim: "functions", phase: "request", call: /rpc\/receive_stripe_event$/ },
  "after the event is stored": { victim: "functions", phase: "response", call: /rpc\/receive_stripe_event$/ },
  "after the claim": { victim: "worker", phase: "response", call: /rpc\/claim_jobs$/, body: /"lease_id"/ },
  "before the refund": { victim: "worker", phase: "request", call: /^POST \/v1\/refunds$/ },
  "after the refund": { victim: "worker", phase: "response", call: /^POST \/v1\/refunds$/ },
  "after Stripe ended the session": {
    victim: "worker",
    phase: "response",
    call: /^POST \/v1\/checkout\/sessions\/\w+\/expire$/,
  },
  "after the mail, before it is noted": {
    victim: "worker",
    phase: "request",
    call: /rpc\/record_notification_result$/,
  },
  "before facts from the API are applied": {
    victim: "worker",
    phase: "request",
    call: /rpc\/apply_stripe_facts$/,
  },
  "before the job is finished": { victim: "worker", phase: "request", call: /rpc\/finish_jobs$/ },
  "after the job is finished": { victim: "worker", phase: "response", call: /rpc\/finish_jobs$/ },
};

/** Not a call but a transaction: the server dies while settling holds its locks. */
const midSettle = "while an order settles";

export interface Kill {
  at: { moment: number } | { point: string };
  victim: Victim;
}

/** How long a plan waits for a transaction to strike, and how long a server may take to come back. */
const watchMs = 1_500;
const restartMs = 8_000;

const victims: readonly Victim[] = ["functions", "worker", "postgres", "backend"];

/** A plan of kills over a run that lasts about `spanMs`. */
export function planKills(random: Random, count: number, spanMs: number): Kill[] {
  return Array.from({ length: count }, () => {
    if (random.chance(0.45)) return { at: { moment: random.whole(0, spanMs) }, victim: random.pick(victims) };
    const point = random.pick([...Object.keys(points), midSettle]);
    return { at: { point }, victim: points[point]?.victim ?? "postgres" };
  });
}

/** A kill in words, for the report. */
export function describeKill({ at, victim }: Kill): string {
  return "point" in at ? `${victim} ${at.point}` : `${victim} at ${at.moment} ms`;
}

/** Carries a plan out; `struck` counts what has happened, by description. */
export function armKills(world: World, plan: Kill[]): { struck: string[]; disarm(): Promise<void> } {
  const struck: string[] = [];
  const timers: ReturnType<typeof setTimeout>[] = [];
  const stopped = new AbortController();
  const background: Promise<void>[] = [];
  const armed: { point: Point; kill: Kill }[] = [];
  const strike = (kill: Kill): Promise<void> => {
    struck.push(describeKill(kill));
    const done = world.kill(kill.victim);
    background.push(done);
    return done;
  };
  for (const kill of plan) {
    if ("moment" in kill.at) timers.push(setTimeout(() => void strike(kill), kill.at.moment));
    else if (kill.at.point === midSettle) {
      background.push(killWhileSettling(world, stopped.signal, () => strike(kill)));
    } else {
      const point = points[kill.at.point];
      if (point !== undefined) armed.push({ point, kill });
    }
  }
  world.watch = ({ from, call, phase, body }) => {
    const at = armed.findIndex(({ point }) =>
      point.victim === from && point.phase === phase && point.call.test(call) &&
      (point.body?.test(body) ?? true)
    );
    const [hit] = at === -1 ? [] : armed.splice(at, 1);
    if (hit === undefined) return false;
    void strike(hit.kill);
    return true;
  };
  return {
    struck,
    disarm: async () => {
      stopped.abort();
      for (const timer of timers) clearTimeout(timer);
      world.watch = () => false;
      // A kill that is carried out may add another promise; all of them end by themselves.
      for (let at = 0; at < background.length; at++) await background[at];
      await world.whole();
    },
  };
}

/** Holds a row that settling needs, waits until a transaction waits for it, and strikes. */
async function killWhileSettling(
  world: World,
  stopped: AbortSignal,
  strike: () => Promise<void>,
): Promise<void> {
  const sql = connect(world.dbUrl);
  const watcher = connect(world.dbUrl);
  const over = Promise.withResolvers<void>();
  const hold = sql.begin(async (tx) => {
    await tx`select 1 from public.inventory_levels for update`;
    const deadline = Date.now() + watchMs;
    while (Date.now() < deadline && !stopped.aborted) {
      const [blocked] = await watcher`
        select pid from pg_stat_activity where wait_event_type = 'Lock' and usename = 'authenticator' limit 1`;
      // Awaited with the row still locked: the kill must not find the transaction done.
      if (blocked !== undefined) return over.resolve(await strike());
      await new Promise((wake) => setTimeout(wake, 10));
    }
  });
  // A transaction whose server has died may never come to an end, and a query to a dying server neither.
  const late = setTimeout(() => over.resolve(), watchMs + restartMs);
  await Promise.race([hold.catch(() => {}), over.promise]);
  clearTimeout(late);
  await Promise.allSettled([sql.end({ timeout: 0 }), watcher.end({ timeout: 0 })]);
}
