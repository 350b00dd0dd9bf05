import { loadEnv } from "../_shared/env.ts";
import { createLogger } from "../_shared/log.ts";
import { createCall } from "../_shared/database/client.ts";
import { healthCalls } from "../_shared/database/health.ts";
import { type Deps, handle } from "./handler.ts";

const env = loadEnv();
const deps: Deps = {
  env,
  rpc: healthCalls(createCall(env)),
  log: createLogger({ function: "health" }),
  elapsed: () => performance.now(),
};

export default { fetch: (request: Request) => handle(request, deps) };
