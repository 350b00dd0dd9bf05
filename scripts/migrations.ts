/** `deno task migrations`: writes `supabase/migrations` from `supabase/schemas`, as long as no version is released. */
import { join, resolve } from "node:path";
import { isReleased, schemaPathProblems, writeMigrations } from "./schemas.ts";
import { runTask, TaskError } from "./task.ts";

const usage = `deno task migrations

  Writes supabase/migrations anew from supabase/schemas, in the order of schema_paths in supabase/config.toml. After
  the first release it refuses: a change is then an edit in supabase/schemas and a migration of its own.`;

const root = resolve(import.meta.dirname ?? "", "..");

if (import.meta.main) Deno.exit(await runTask({ usage, flags: {}, run: migrations }, Deno.args));

async function migrations(): Promise<number> {
  const problems = await schemaPathProblems(join(root, "supabase"));
  if (problems.length > 0) throw new TaskError(problems.join("\n"));
  if (await isReleased(root)) {
    throw new TaskError(
      "CHANGELOG.md names a released version, whose migrations stay as they are: add one for your change " +
        "(supabase migration new NAME); 'deno task ok' proves that it leads where supabase/schemas leads",
    );
  }
  const changed = await writeMigrations(root);
  for (const name of changed) console.log(`Wrote supabase/migrations/${name}`);
  if (changed.length === 0) console.log("The migrations are what supabase/schemas makes.");
  return 0;
}
