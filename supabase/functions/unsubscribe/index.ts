import { createCall } from "../_shared/database/client.ts";
import { notificationCalls } from "../_shared/database/notifications.ts";
import { loadEnv } from "../_shared/env.ts";
import { functionLogger } from "../_shared/log.ts";
import { type Deps, handle } from "./handler.ts";

const env = loadEnv();
const deps: Deps = {
  env,
  rpc: notificationCalls(createCall(env)),
  log: functionLogger("unsubscribe", env),
};

export default { fetch: (request: Request) => handle(request, deps) };
