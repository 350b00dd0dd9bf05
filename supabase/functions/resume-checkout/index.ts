import { stripeCalls } from "../_shared/checkout/stripe_calls.ts";
import { loadEnv } from "../_shared/env.ts";
import { createLogger } from "../_shared/log.ts";
import { createRateLimiter } from "../_shared/limits/rate_limit.ts";
import { createRpc } from "../_shared/database/rpc.ts";
import { createStripe } from "../_shared/stripe/client.ts";
import { type Deps, handle } from "./handler.ts";

const env = loadEnv();
const log = createLogger({ function: "resume-checkout" });
const rpc = createRpc(env);

const deps: Deps = {
  env,
  rpcWithin: rpc.within,
  limiter: createRateLimiter({ env, rpc, log }),
  stripe: stripeCalls(createStripe(env)),
  log,
  now: Date.now,
};

export default { fetch: (request: Request) => handle(request, deps) };
