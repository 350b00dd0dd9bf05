import { loadEnv } from "../_shared/env.ts";
import { functionLogger } from "../_shared/log.ts";
import { createCall } from "../_shared/database/client.ts";
import { jobCalls } from "../_shared/jobs/calls.ts";
import { createStripe } from "../_shared/stripe/client.ts";
import { type Deps, handle } from "./handler.ts";

const env = loadEnv();
const deps: Deps = {
  env,
  rpc: jobCalls(createCall(env)),
  stripe: createStripe(env),
  fetch,
  now: Date.now,
  log: functionLogger("retry-jobs", env),
};

export default { fetch: (request: Request) => handle(request, deps) };
