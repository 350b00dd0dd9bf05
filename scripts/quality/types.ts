/**
 * `deno task types`: regenerates `docs/openapi.json` from the functions' schemas, and `database_types.ts` with the
 * official CLI from a freshly migrated database.
 */
import { startRunServer } from "../local/test_database.ts";
import { openapi, OPENAPI_PATH } from "./openapi.ts";
import { generateTypes, supabaseCliMissing, TYPES_PATH } from "./ok/supabase_cli.ts";
import { runTask } from "../lib/task.ts";
import { withDatabaseName } from "../lib/connection.ts";
import { StackError } from "../lib/errors.ts";
import { ROOT } from "../lib/paths.ts";

const usage = `deno task types

  Writes ${OPENAPI_PATH} and ${TYPES_PATH} anew.`;

if (import.meta.main) Deno.exit(await runTask({ usage, flags: {}, run: types }, Deno.args));

async function types(): Promise<number> {
  await Deno.writeTextFile(`${ROOT}/${OPENAPI_PATH}`, openapi());
  console.log(`Wrote ${OPENAPI_PATH}`);
  const missing = await supabaseCliMissing(ROOT);
  if (missing !== null) throw new StackError(missing);
  const server = await startRunServer();
  try {
    const types = await generateTypes(withDatabaseName(server.adminUrl, "migrated"), ROOT);
    await Deno.writeTextFile(`${ROOT}/${TYPES_PATH}`, types);
    console.log(`Wrote ${TYPES_PATH}`);
  } finally {
    await server.stop();
  }
  return 0;
}
