import { loadEnv } from "../_shared/env.ts";
import { functionLogger } from "../_shared/log.ts";
import { createMemoryLimiter, createRateLimiter } from "../_shared/limits/rate_limit.ts";
import { createCall } from "../_shared/database/client.ts";
import { metricCalls } from "../_shared/database/metrics.ts";
import { createMetrics, measured } from "../_shared/metrics.ts";
import { factCalls } from "../_shared/database/facts.ts";
import { orderCalls } from "../_shared/database/orders.ts";
import { callStripe, createStripe } from "../_shared/stripe/client.ts";
import { readSession } from "../_shared/stripe/session.ts";
import { type Deps, handle } from "./handler.ts";

const env = loadEnv();
const stripe = createStripe(env);
const log = functionLogger("order-status", env);
const call = createCall(env);
const metrics = createMetrics({ rpc: metricCalls(call), log });

const deps: Deps = {
  env,
  rpcWithin: (limitMs) => ({
    ...orderCalls(call.within(limitMs, "starts")),
    ...factCalls(call.within(limitMs)),
  }),
  retrieveSession: (id, limitMs) => callStripe(() => readSession(stripe, id), limitMs),
  limiter: createRateLimiter({ env, call, log, metrics }),
  polls: createMemoryLimiter(),
  log,
  now: Date.now,
};

export default { fetch: measured("order-status", metrics, (request) => handle(request, deps)) };
