/** Who calls retry-jobs every minute: pg_cron, with address and key from Vault. */
import type postgres from "postgres";
import { withPrivateFile } from "./env_file.ts";
import { type Project, secretKeyOf, SetupError } from "./project.ts";
import { settled, type SetupContext, type SetupStep } from "./step.ts";
import { projectTarget } from "./supabase.ts";
import { connect } from "../../lib/connection.ts";

/** Points the schedule to the project. With SUPABASE_DB_URL over a connection, else through the CLI. */
export const schedule: SetupStep = {
  name: "schedule",
  async plan(context) {
    const { project } = context;
    const url = retryJobsUrl(project), key = secretKeyOf(project.env);
    const database = project.values["SUPABASE_DB_URL"];
    if (database !== undefined && await withDatabase(database, (sql) => isScheduled(sql, url, key))) {
      return settled;
    }
    return {
      changes: [`have pg_cron call ${url} every minute`],
      apply: () => pointSchedule(context, key),
    };
  },
};

/** Has pg_cron call retry-jobs with this secret key, and Vault keep it. */
export async function pointSchedule(
  { project, supabase }: Pick<SetupContext, "project" | "supabase">,
  key: string,
): Promise<void> {
  const url = retryJobsUrl(project);
  const database = project.values["SUPABASE_DB_URL"];
  if (database !== undefined) return await withDatabase(database, (sql) => setTarget(sql, url, key));
  await withPrivateFile(
    `select private.set_schedule_target(${literal(url)}, ${literal(key)});\n`,
    ".sql",
    (path) => supabase(["db", "query", "--yes", "--file", path, projectTarget(project)]),
  );
}

function retryJobsUrl({ env }: Project): string {
  return `${env.supabaseUrl}/functions/v1/retry-jobs`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

async function withDatabase<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = connect(url, { connect_timeout: 15 });
  try {
    return await work(sql);
  } catch (error) {
    const refused = error instanceof Error && "code" in error &&
      /^(E[A-Z]+|CONNECT|28)/.test(String(error.code));
    if (!refused) throw error;
    throw new SetupError(
      `The database does not let us in (${error.code}): check SUPABASE_DB_URL against the dashboard, Connect`,
    );
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** False where the migrations are yet to come. */
async function isScheduled(sql: postgres.Sql, url: string, key: string): Promise<boolean> {
  const [there] = await sql`
    select to_regclass('vault.decrypted_secrets') is not null and to_regclass('cron.job') is not null as ready
  `;
  if (there?.ready !== true) return false;
  const [found] = await sql`
    select (select count(*) from cron.job where jobname = 'retry-jobs') = 1
      and (select decrypted_secret from vault.decrypted_secrets where name = 'retry_jobs_url') = ${url}
      and (select decrypted_secret from vault.decrypted_secrets where name = 'retry_jobs_key') = ${key} as scheduled
  `;
  return found?.scheduled === true;
}

async function setTarget(sql: postgres.Sql, url: string, key: string): Promise<void> {
  try {
    await sql`select private.set_schedule_target(${url}, ${key})`;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "SHINV")) throw error;
    throw new SetupError(
      `${error.message}: enable pg_cron, pg_net and Vault in the dashboard (Database, Extensions) and run setup again, ` +
        "or call retry-jobs every minute from a scheduler of your own",
    );
  }
}
