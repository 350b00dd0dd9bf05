import { loadEnv } from "../_shared/env.ts";
import { functionLogger } from "../_shared/log.ts";
import { createCall } from "../_shared/database/client.ts";
import { metricCalls } from "../_shared/database/metrics.ts";
import { createMetrics, measured } from "../_shared/metrics.ts";
import { jobCalls } from "../_shared/jobs/calls.ts";
import { createStripe } from "../_shared/stripe/client.ts";
import { type Deps, handle } from "./handler.ts";

const env = loadEnv();
const log = functionLogger("retry-jobs", env);
const call = createCall(env);
const metrics = createMetrics({ rpc: metricCalls(call), log });
const deps: Deps = {
  env,
  rpc: jobCalls(call),
  stripe: createStripe(env),
  fetch,
  now: Date.now,
  log,
};

export default { fetch: measured("retry-jobs", metrics, (request) => handle(request, deps)) };
