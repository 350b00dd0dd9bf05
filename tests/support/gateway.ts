import { join } from "node:path";
import type { SendMail } from "../../scripts/local/gateway/auth/mails.ts";
import { LocalKeys } from "../../scripts/local/gateway/keys.ts";
import { type ProjectConfig, readProjectConfig } from "../../scripts/local/gateway/project_config.ts";
import { type Gateway, startGateway } from "../../scripts/local/gateway/server.ts";
import { makeKeys, type StackKeys } from "../../scripts/local/keys.ts";
import { SUPABASE_DIR } from "../../scripts/lib/paths.ts";

/** A gateway in this process, with what it logged. */
export interface TestGateway extends Gateway {
  keys: StackKeys;
  logged: string[];
  /** The mails that Auth sent; a message in `mailFails` refuses them. */
  mails: Parameters<SendMail>[0][];
  mailFails: { reason: string | null };
}

/** Starts the API gateway alone on a free port; the project's functions and configuration are the defaults.
 * `postgrestOf` starts a real PostgREST for it and returns its URL. */
export async function localGateway(
  dbUrl: string,
  functionsDir = join(SUPABASE_DIR, "functions"),
  config: Partial<ProjectConfig> = {},
  postgrestOf?: (keys: LocalKeys, config: ProjectConfig) => Promise<string>,
): Promise<TestGateway> {
  const keys = await makeKeys();
  const local = new LocalKeys(
    [keys.publishable_key],
    [keys.secret_key],
    keys.jwt_private_key,
    "http://127.0.0.1/auth/v1",
  );
  const project = { ...await readProjectConfig(join(SUPABASE_DIR, "config.toml")), ...config };
  const postgrestUrl = await postgrestOf?.(local, project);
  const logged: string[] = [];
  const mails: TestGateway["mails"] = [];
  const mailFails: TestGateway["mailFails"] = { reason: null };
  const gateway = startGateway({
    port: 0,
    dbUrl,
    functionsDir,
    keys: local,
    config: project,
    ...(postgrestUrl === undefined ? {} : { postgrestUrl }),
    mail: {
      send: (mail) => {
        if (mailFails.reason !== null) return Promise.reject(new Error(mailFails.reason));
        mails.push(mail);
        return Promise.resolve();
      },
      siteUrl: "https://shop.example/store",
      redirectOrigins: ["https://shop.example", "http://localhost:5173"],
    },
    log: (line) => logged.push(line),
  });
  return { ...gateway, keys, logged, mails, mailFails };
}
