/** Process of the API gateway; the stack starts it with the functions' environment and ends it by closing stdin. */
import { exitWithParent } from "../child_side.ts";
import { loadKeys } from "../keys.ts";
import { mailThrough } from "./auth/mails.ts";
import { LocalKeys } from "./keys.ts";
import { readProjectConfig } from "./project_config.ts";
import { startGateway } from "./server.ts";
import { join } from "node:path";
import { SUPABASE_DIR } from "../../lib/paths.ts";

const port = Number(Deno.env.get("LOCAL_API_PORT") ?? "54321");
const dir = Deno.env.get("LOCAL_DIR") ?? ".local";
const stored = await loadKeys(dir);
const variable = (name: string) => Deno.env.get(name)?.trim() ?? "";

/** Hosted functions keep running after their answer for work handed to this; here the process simply stays. */
Object.assign(globalThis, { EdgeRuntime: { waitUntil: (promise: Promise<unknown>) => void promise } });

// The database client writes to a connection that a dying server has just closed, outside of any promise. The
// request fails by itself; it must not take the process with it.
globalThis.addEventListener("error", (event) => {
  if (!String(event.error?.stack).includes("/postgres/src/connection.js")) return;
  event.preventDefault();
  console.error(`lost a database connection: ${event.message}`);
});

const gateway = startGateway({
  port,
  dbUrl: Deno.env.get("LOCAL_DB_URL") ?? "",
  functionsDir: join(SUPABASE_DIR, "functions"),
  keys: new LocalKeys(
    [stored.publishable_key],
    [stored.secret_key],
    stored.jwt_private_key,
    `http://127.0.0.1:${port}/auth/v1`,
  ),
  config: await readProjectConfig(join(SUPABASE_DIR, "config.toml")),
  ...(variable("LOCAL_POSTGREST_URL") === "" ? {} : { postgrestUrl: variable("LOCAL_POSTGREST_URL") }),
  ...(variable("LOCAL_REST_CONNECTIONS") === ""
    ? {}
    : { restConnections: Number(variable("LOCAL_REST_CONNECTIONS")) }),
  mail: {
    send: mailThrough({
      url: variable("RESEND_API_BASE"),
      key: variable("RESEND_API_KEY"),
      from: variable("EMAIL_FROM"),
    }),
    siteUrl: variable("SITE_URL"),
    redirectOrigins: variable("ALLOWED_ORIGINS").split(",").map((origin) => origin.trim()),
  },
  log: (line) => console.error(line),
});
const stack = Deno.ppid;
exitWithParent(async () => {
  await gateway.stop();
  await forgetStackFile();
});
console.log(`ready ${gateway.url}`);

/** A stack that was killed cannot take its file back; whoever waits for the next one must not read the old. */
async function forgetStackFile(): Promise<void> {
  const path = join(dir, "stack.json");
  const text = await Deno.readTextFile(path).catch(() => null);
  if (text !== null && JSON.parse(text).pid === stack) await Deno.remove(path).catch(() => {});
}
