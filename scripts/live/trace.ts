/**
 * `deno task trace`: the whole story of one order in order of time, from a running stack or a project. Nothing personal
 * is in it, so that it can be pasted into a ticket. Reads only.
 */
import { createCall } from "../../supabase/functions/_shared/database/client.ts";
import { orderTraceCalls, type TraceMoment } from "../../supabase/functions/_shared/database/order_trace.ts";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import { maskText } from "../../supabase/functions/_shared/log.ts";
import { traceIdOf } from "../../supabase/functions/_shared/telemetry/trace_context.ts";
import { TaskError } from "../lib/errors.ts";
import { runTask, UsageError } from "../lib/task.ts";
import { findSource, type Source } from "./doctor/subject.ts";
import { parseSecretKeys } from "./backend.ts";
import { traceTable } from "./trace_table.ts";

const usage = `deno task trace ORDER [--json] [--env .env]

  ORDER   its number, its id, or the id of anything that belongs to it: cs_…, pi_…, re_…, du_…, evt_…
  --json  { order, trace_id, moments } for programs
  --env   the project of this file; else what deno task doctor would look at`;

const flags = { json: { type: "boolean", default: false }, env: { type: "string" } } as const;

/** An order of years ago is looked for in all that came since. */
const timeoutMs = 30_000;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      positionals: true,
      run: ({ values, positionals }) => main(positionals, values),
    }, Deno.args),
  );
}

async function main(
  [order, ...surplus]: string[],
  { json, env }: { json?: boolean; env?: string },
): Promise<number> {
  if (order === undefined || order.trim() === "") {
    throw new UsageError("Say which order: its number or an id");
  }
  if (surplus.length > 0) throw new UsageError(`One order at a time, not ${surplus.join(" ")} too`);
  const source = await findSource(env ?? null, Deno.env.toObject());
  const { moments: told, ...head } = await readTrace(source, order.trim());
  const moments = told.map(masked);
  const traceId = traceIdOf(head.order_id);
  if (json) console.log(JSON.stringify({ order: head, trace_id: traceId, moments }, null, 2));
  else console.log(traceTable({ ...head, moments }, Deno.stdout.isTerminal() && !Deno.noColor));
  return 0;
}

/** What a provider or the database said may name others than the buyer, whom the database has taken out. */
function masked(moment: TraceMoment): TraceMoment {
  const { error } = moment.detail;
  return typeof error === "string"
    ? { ...moment, detail: { ...moment.detail, error: maskText(error) } }
    : moment;
}

async function readTrace({ name, values }: Source, order: string) {
  const { SUPABASE_URL: url, SUPABASE_SECRET_KEYS: keys } = values;
  if (!url || !keys) throw new TaskError(`${name} has no SUPABASE_URL or no SUPABASE_SECRET_KEYS: set both`);
  const call = createCall({ supabaseUrl: url.replace(/\/+$/, ""), secretKeys: parseSecretKeys(keys) });
  try {
    return await orderTraceCalls(call.within(() => timeoutMs)).getOrderTrace(order);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code === "order_not_found") {
      throw new TaskError(
        `${name} knows nothing called ${order} (SHORD): give the order's number or id, or the id of its session, ` +
          "payment, refund, dispute or event; --env names another project",
      );
    }
    throw new TaskError(`${name} did not answer (${error.code})`, { cause: error.cause });
  }
}
