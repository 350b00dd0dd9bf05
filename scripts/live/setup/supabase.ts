/** The official Supabase CLI, for one project. */
import { ROOT } from "../../lib/paths.ts";
import { runSupabase } from "../../lib/supabase_cli.ts";
import { masked, type Project, SetupError } from "./project.ts";
import { type CommandOutput } from "../../lib/command.ts";

/** Runs the CLI to its end and returns what it wrote: data goes to stdout, all it says of itself to stderr. */
export type SupabaseCli = (args: string[]) => Promise<CommandOutput>;

/** The CLI for this project. It throws a SetupError with the CLI's own last words. */
export function supabaseCli({ values }: Pick<Project, "values">): SupabaseCli {
  const env: Record<string, string> = {};
  for (const name of ["SUPABASE_ACCESS_TOKEN", "SUPABASE_DB_PASSWORD", "SUPABASE_PROFILE"]) {
    if (values[name] !== undefined) env[name] = values[name];
  }
  // Arguments are read by every account of the machine, the environment by this one alone.
  const password = databasePassword(values);
  if (password !== null) env["PGPASSWORD"] = password;
  return async (args) => {
    const output = await runSupabase(args, ROOT, env);
    if (output.success) return output;
    const shown = args.filter((arg) => !arg.startsWith("-")).slice(0, 2).join(" ");
    throw new SetupError(`supabase ${shown} failed: ${masked(lastWords(output), values)}${mendOf(output)}`);
  };
}

function lastWords({ stdout, stderr }: CommandOutput): string {
  const lines = `${stdout}\n${stderr}`.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "" && !line.startsWith("npm ")).slice(-6).join("\n  ");
}

function mendOf({ stdout, stderr }: CommandOutput): string {
  const text = `${stdout}\n${stderr}`;
  if (/is not installed/.test(text)) return "\nInstall Node 20 or later: the CLI is started with npx";
  if (/access token|unauthori[sz]ed|\b401\b/i.test(text)) {
    return "\nSet SUPABASE_ACCESS_TOKEN (dashboard, Account, Access Tokens), or run 'npx supabase login'";
  }
  if (/IPv6|password|connect|SASL/i.test(text)) {
    return "\nSet SUPABASE_DB_URL to the connection string of the session pooler (dashboard, Connect)";
  }
  return "";
}

/** Where `--remote` points for commands on the database; its password goes another way. */
export function databaseTarget({ values, ref }: Pick<Project, "values" | "ref">): string {
  const url = values["SUPABASE_DB_URL"];
  return url === undefined ? projectTarget({ ref }) : `--remote=${withoutPassword(url)}`;
}

function databasePassword(values: Record<string, string>): string | null {
  const url = URL.parse(values["SUPABASE_DB_URL"] ?? "");
  return url === null || url.password === "" ? null : decodeURIComponent(url.password);
}

function withoutPassword(text: string): string {
  const url = URL.parse(text);
  if (url === null) throw new SetupError("SUPABASE_DB_URL is not a connection string: postgresql://…");
  url.password = "";
  return url.href;
}

/** Where `--remote` points for everything else. */
export function projectTarget({ ref }: Pick<Project, "ref">): string {
  if (ref === null) {
    throw new SetupError(
      "Which project? SUPABASE_URL is not https://REF.supabase.co: set SUPABASE_PROJECT_REF as well",
    );
  }
  return `--remote=${ref}`;
}
