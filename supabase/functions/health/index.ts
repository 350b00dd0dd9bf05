import { loadEnv } from "../_shared/env.ts";
import { createLogger } from "../_shared/log.ts";
import { createCall } from "../_shared/database/client.ts";
import { metricCalls } from "../_shared/database/metrics.ts";
import { createMetrics, measured } from "../_shared/metrics.ts";
import { healthCalls } from "../_shared/database/health.ts";
import { type Deps, handle, shared } from "./handler.ts";

const env = loadEnv();
const log = createLogger({ function: "health" });
const call = createCall(env);
const metrics = createMetrics({ rpc: metricCalls(call), log });
const rpc = healthCalls(call);
const deps: Deps = {
  env,
  rpc,
  publicHealth: shared(rpc.getHealth),
  log,
  elapsed: () => performance.now(),
};

export default { fetch: measured("health", metrics, (request) => handle(request, deps)) };
