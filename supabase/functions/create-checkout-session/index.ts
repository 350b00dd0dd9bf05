import { loadEnv } from "../_shared/env.ts";
import { createLogger } from "../_shared/log.ts";
import { createRateLimiter } from "../_shared/rate_limit.ts";
import { createRpc } from "../_shared/rpc.ts";
import { callStripe, createStripe } from "../_shared/stripe.ts";
import { type Deps, handle } from "./handler.ts";

const env = loadEnv();
const log = createLogger({ function: "create-checkout-session" });
const rpc = createRpc(env);
const stripe = createStripe(env);

/** Two attempts of this length fit under the deadline of `callStripe`. */
const attemptTimeoutMs = 4_000;

const deps: Deps = {
  env,
  rpc,
  limiter: createRateLimiter({ env, rpc, log }),
  createSession: (params, idempotencyKey) =>
    callStripe(() => stripe.checkout.sessions.create(params, { idempotencyKey, timeout: attemptTimeoutMs })),
  log,
};

export default { fetch: (request: Request) => handle(request, deps) };
