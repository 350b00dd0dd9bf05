import { callsUnder } from "../_shared/checkout/calls.ts";
import { stripeCalls } from "../_shared/checkout/stripe_calls.ts";
import { loadEnv } from "../_shared/env.ts";
import { functionLogger } from "../_shared/log.ts";
import { createRateLimiter } from "../_shared/limits/rate_limit.ts";
import { createCall } from "../_shared/database/client.ts";
import { metricCalls } from "../_shared/database/metrics.ts";
import { createMetrics, measured } from "../_shared/metrics.ts";
import { createStripe } from "../_shared/stripe/client.ts";
import { type Deps, handle } from "./handler.ts";
import { resultOf } from "./result.ts";

const env = loadEnv();
const log = functionLogger("create-checkout-session", env);
const call = createCall(env);
const metrics = createMetrics({ rpc: metricCalls(call), log });

const deps: Deps = {
  env,
  rpcWithin: (deadline) => callsUnder(call, deadline),
  limiter: createRateLimiter({ env, call, log, metrics }),
  stripe: stripeCalls(createStripe(env)),
  fetch,
  log,
  now: Date.now,
};

export default {
  fetch: measured("create-checkout-session", metrics, async (request) => {
    const answer = await handle(request, deps);
    if (request.method === "POST") metrics.count("checkouts", [await resultOf(answer)]);
    return answer;
  }),
};
