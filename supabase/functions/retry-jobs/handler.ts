/** The queue's heartbeat: pg_cron calls it every minute, staff and tests whenever they like. */
import * as z from "zod/mini";
import { requireSecretKey } from "../_shared/auth/caller.ts";
import { json, readJson, respond } from "../_shared/http/endpoint.ts";
import type { JobContext } from "../_shared/jobs/mod.ts";
import { validBody } from "../_shared/http/valid_body.ts";
import { work } from "./worker.ts";

export type Deps = JobContext;

const bodyLimitBytes = 4 * 1024;
/** The body of a request; `docs/openapi.json` is generated from it. */
export const jobsSchema = z.strictObject({
  limit: z._default(z.int().check(z.minimum(1), z.maximum(1000)), 100),
});

/** Answers `POST { limit? }`; secret key only. */
export function handle(request: Request, deps: Deps): Promise<Response> {
  return respond(request, { methods: ["POST"], allowedOrigins: null, log: deps.log }, async ({ log }) => {
    await requireSecretKey(request, deps.env);
    const { limit } = validBody(jobsSchema, await readJson(request, bodyLimitBytes, {}));
    const startedAt = deps.now();
    const tally = await work(limit, { ...deps, log });
    const remaining = await deps.rpc.countJobs();
    if (tally.claimed > 0) log.info("jobs_run", { ...tally, remaining, duration_ms: deps.now() - startedAt });
    return json({ ...tally, remaining });
  });
}
