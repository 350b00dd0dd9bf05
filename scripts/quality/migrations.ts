/** `deno task migrations`: writes `supabase/migrations` from `supabase/schemas`, as long as no version is released. */
import { isReleased, schemaPathProblems, writeMigrations } from "../lib/schemas.ts";
import { TaskError } from "../lib/errors.ts";
import { ROOT, SUPABASE_DIR } from "../lib/paths.ts";
import { runTask } from "../lib/task.ts";

const usage = `deno task migrations

  Writes supabase/migrations anew from supabase/schemas, in the order of schema_paths in supabase/config.toml. After
  the first release it refuses: a change is then an edit in supabase/schemas and a migration of its own.`;

if (import.meta.main) Deno.exit(await runTask({ usage, flags: {}, run: migrations }, Deno.args));

async function migrations(): Promise<number> {
  const problems = await schemaPathProblems(SUPABASE_DIR);
  if (problems.length > 0) throw new TaskError(problems.join("\n"));
  if (await isReleased(ROOT)) {
    throw new TaskError(
      "CHANGELOG.md names a released version, whose migrations stay as they are: add one for your change " +
        "(supabase migration new NAME); 'deno task ok' proves that it leads where supabase/schemas leads",
    );
  }
  const changed = await writeMigrations(ROOT);
  for (const name of changed) console.log(`Wrote supabase/migrations/${name}`);
  if (changed.length === 0) console.log("The migrations are what supabase/schemas makes.");
  return 0;
}
