/** `tests/schema.sql`: the whole schema as the migrations leave it, so that a review sees what a migration changes. */
import { comparedWithFile, type Step } from "./step.ts";
import { SNAPSHOT_PARTS, STORED_ROWS } from "./schema_snapshot_sql.ts";
import { connect, withDatabaseName } from "../../lib/connection.ts";

const HEADER =
  `-- The schema as all migrations leave it. Generated: 'deno task ok --write' writes it, 'deno task ok' compares it.
-- For reading and reviewing; supabase/schemas is the source.
`;

/** Compares the snapshot with a freshly migrated database. */
export const schemaSnapshot: Step = {
  name: "schema snapshot",
  async run(context) {
    const generated = await describeSchema(withDatabaseName(context.adminUrl, "migrated"));
    return await comparedWithFile(context, "tests/schema.sql", generated, "deno task ok --write");
  },
};

/** Describes every object that the migrations made, in a fixed order. */
export async function describeSchema(url: string): Promise<string> {
  const sql = connect(url);
  try {
    const parts: string[] = [HEADER];
    for (const query of SNAPSHOT_PARTS) {
      const rows = await sql.unsafe<{ text: string }[]>(query);
      parts.push(...rows.map((row) => row.text.replace(/[ \t]+$/gm, "")));
    }
    return parts.join("\n");
  } finally {
    await sql.end();
  }
}

/** The rows of every table, without times and random keys, in a fixed order. */
export async function describeRows(url: string): Promise<string> {
  const sql = connect(url);
  try {
    const tables = await sql.unsafe<{ query: string }[]>(STORED_ROWS);
    const parts: string[] = [];
    for (const { query } of tables) {
      const rows = await sql.unsafe<{ text: string }[]>(query);
      parts.push(...rows.map((row) => row.text));
    }
    return parts.join("\n");
  } finally {
    await sql.end();
  }
}
