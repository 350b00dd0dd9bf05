import { loadEnv } from "../_shared/env.ts";
import { createLogger } from "../_shared/log.ts";
import { createRpc } from "../_shared/database/rpc.ts";
import { type Deps, handle } from "./handler.ts";

const env = loadEnv();
const deps: Deps = { env, rpc: createRpc(env), log: createLogger({ function: "health" }) };

export default { fetch: (request: Request) => handle(request, deps) };
