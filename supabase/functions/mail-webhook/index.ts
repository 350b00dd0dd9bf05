import { createCall } from "../_shared/database/client.ts";
import { metricCalls } from "../_shared/database/metrics.ts";
import { createMetrics, measured } from "../_shared/metrics.ts";
import { notificationCalls } from "../_shared/database/notifications.ts";
import { loadEnv } from "../_shared/env.ts";
import { functionLogger } from "../_shared/log.ts";
import { type Deps, handle } from "./handler.ts";

const env = loadEnv();
const log = functionLogger("mail-webhook", env);
const call = createCall(env);
const metrics = createMetrics({ rpc: metricCalls(call), log });
const deps: Deps = {
  env,
  rpc: notificationCalls(call),
  log,
  now: Date.now,
};

export default { fetch: measured("mail-webhook", metrics, (request) => handle(request, deps)) };
