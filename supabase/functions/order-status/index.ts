import { loadEnv } from "../_shared/env.ts";
import { createLogger } from "../_shared/log.ts";
import { createMemoryLimiter, createRateLimiter } from "../_shared/limits/rate_limit.ts";
import { createRpc } from "../_shared/database/rpc.ts";
import { callStripe, createStripe } from "../_shared/stripe/client.ts";
import { type Deps, handle } from "./handler.ts";

const env = loadEnv();
const stripe = createStripe(env);
const log = createLogger({ function: "order-status" });
const rpc = createRpc(env);

const deps: Deps = {
  env,
  rpc,
  retrieveSession: (id) =>
    callStripe(() => stripe.checkout.sessions.retrieve(id, { expand: ["payment_intent.latest_charge"] })),
  limiter: createRateLimiter({ env, rpc, log }),
  polls: createMemoryLimiter(),
  log,
  now: Date.now,
};

export default { fetch: (request: Request) => handle(request, deps) };
