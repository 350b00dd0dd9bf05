/** What the official Supabase CLI says about the migrations. */
import { runSupabase, SUPABASE_CLI } from "../../lib/supabase_cli.ts";
import { comparedWithFile, judged, type Step, type StepContext } from "./step.ts";
import { connect, withDatabaseName } from "../../lib/connection.ts";
import { type CommandOutput } from "../../lib/command.ts";

/** File that the CLI generates from the schema. */
export const TYPES_PATH = "supabase/functions/_shared/database/database_types.ts";

let missing: Promise<string | null> | undefined;

/** Why the CLI cannot be used here, or null when it can. Asked once: each start of the CLI takes a second. */
export function supabaseCliMissing(root: string): Promise<string | null> {
  return missing ??= whyMissing(root);
}

async function whyMissing(root: string): Promise<string | null> {
  const output = await runSupabase(["--version"], root);
  return output.success
    ? null
    : `the Supabase CLI does not run (npx -y ${SUPABASE_CLI}): ${lastLine(output)}`;
}

/** Generates the types of schema `public` from a database. */
export async function generateTypes(url: string, root: string): Promise<string> {
  const output = await runSupabase(
    ["gen", "types", `--remote=${url}?sslmode=disable`, "--schema", "public"],
    root,
  );
  if (!output.success || output.stdout.trim() === "") {
    throw new Error(`supabase gen types: ${lastLine(output)}`);
  }
  return output.stdout;
}

/** Compares `database_types.ts` with the schema. */
export const typesDrift: Step = {
  name: "types drift",
  async run(context) {
    return await withCli(context, async () => {
      const generated = await generateTypes(withDatabaseName(context.adminUrl, "migrated"), context.root);
      return await comparedWithFile(context, TYPES_PATH, generated, "deno task types");
    });
  },
};

/** Pushes all migrations to an empty database, as the owner that a hosted project has, who is no superuser. */
export const cliPush: Step = {
  name: "supabase db push",
  async run(context) {
    return await withCli(context, async () => {
      const url = await emptyDatabase(context.adminUrl, "cli_push");
      const push = await runSupabase(
        ["db", "push", "--yes", `--remote=${url}?sslmode=disable`],
        context.root,
      );
      if (!push.success) return judged(["supabase db push failed:", ...tail(push)]);
      const list = await runSupabase(["migration", "list", `--remote=${url}?sslmode=disable`], context.root);
      return judged(list.success ? [] : ["supabase migration list failed:", ...tail(list)]);
    });
  },
};

/** Lints the schema with Supabase's advisors. */
export const advisors: Step = {
  name: "supabase db advisors",
  async run(context) {
    return await withCli(context, async () => {
      const url = withDatabaseName(context.adminUrl, "migrated");
      const args = ["db", "advisors", `--remote=${url}?sslmode=disable`, "--fail-on", "warn"];
      const output = await runSupabase(args, context.root);
      return judged(output.success ? [] : ["supabase db advisors complains:", ...tail(output)]);
    });
  },
};

async function withCli(context: StepContext, work: () => ReturnType<Step["run"]>): ReturnType<Step["run"]> {
  const reason = await supabaseCliMissing(context.root);
  return reason === null ? await work() : { kind: "skipped", reason };
}

async function emptyDatabase(adminUrl: string, name: string): Promise<string> {
  const admin = connect(adminUrl);
  try {
    await admin.unsafe(`drop database if exists ${name} with (force)`);
    await admin.unsafe(`create database ${name} owner hosted_owner`);
  } finally {
    await admin.end();
  }
  const url = new URL(withDatabaseName(adminUrl, name));
  url.username = "hosted_owner";
  return url.href;
}

function lastLine(output: CommandOutput): string {
  return tail(output).at(-1) ?? "no output";
}

function tail(output: CommandOutput): string[] {
  return `${output.stdout}\n${output.stderr}`.split("\n").map((line) => line.trimEnd())
    .filter((line) => line !== "" && !line.startsWith("npm warn")).slice(-25);
}
