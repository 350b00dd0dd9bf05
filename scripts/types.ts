/**
 * `deno task types`: regenerates `docs/openapi.json` from the functions' schemas, and `database_types.ts` with the
 * official CLI from a freshly migrated database.
 */
import { resolve } from "node:path";
import { startRunServer } from "../tests/support/database.ts";
import { withDatabaseName } from "./local/migrate.ts";
import { StackError } from "./local/ports.ts";
import { openapi, OPENAPI_PATH } from "./openapi.ts";
import { generateTypes, supabaseCliMissing, TYPES_PATH } from "./ok/supabase_cli.ts";
import { runTask } from "./task.ts";

const usage = `deno task types

  Writes ${OPENAPI_PATH} and ${TYPES_PATH} anew.`;

const root = resolve(import.meta.dirname ?? "", "..");

if (import.meta.main) Deno.exit(await runTask({ usage, flags: {}, run: types }, Deno.args));

async function types(): Promise<number> {
  await Deno.writeTextFile(`${root}/${OPENAPI_PATH}`, openapi());
  console.log(`Wrote ${OPENAPI_PATH}`);
  const missing = await supabaseCliMissing(root);
  if (missing !== null) throw new StackError(missing);
  const server = await startRunServer();
  try {
    const types = await generateTypes(withDatabaseName(server.adminUrl, "migrated"), root);
    await Deno.writeTextFile(`${root}/${TYPES_PATH}`, types);
    console.log(`Wrote ${TYPES_PATH}`);
  } finally {
    await server.stop();
  }
  return 0;
}
