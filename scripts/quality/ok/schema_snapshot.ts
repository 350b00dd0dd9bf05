/**
 * `tests/schema.sql`: structure and signatures as the migrations leave them, so that a review sees what a change does
 * to tables, rights and signatures. Bodies stand in `supabase/schemas` alone.
 */
import type postgres from "postgres";
import { comparedWithFile, type Step } from "./step.ts";
import { BODY_PARTS, describeParts, SNAPSHOT_PARTS, STORED_ROWS } from "../../lib/schema_description.ts";
import { connect, withDatabaseName } from "../../lib/connection.ts";

const HEADER =
  `-- Structure and signatures as all migrations leave them. Generated: 'deno task ok --write' writes it, 'deno task ok' compares it.
-- For reading and reviewing; supabase/schemas is the source, with the bodies.
`;

/** Compares the snapshot with a freshly migrated database. */
export const schemaSnapshot: Step = {
  name: "schema snapshot",
  async run(context) {
    const generated = await describeSchema(withDatabaseName(context.adminUrl, "migrated"));
    return await comparedWithFile(context, "tests/schema.sql", generated, "deno task ok --write");
  },
};

/** Structure and signatures of every object that the migrations made, in a fixed order. */
export async function describeSchema(url: string): Promise<string> {
  return await described(url, (sql) => describeParts(sql, SNAPSHOT_PARTS));
}

/**
 * All that two equal databases have in common: what describeSchema() says, the bodies of functions and views, and
 * the rows of every table without times and random keys.
 */
export async function describeDatabase(url: string): Promise<string> {
  return await described(url, async (sql) => {
    const tables = await sql.unsafe<{ query: string }[]>(STORED_ROWS);
    return [
      ...await describeParts(sql, [...SNAPSHOT_PARTS, ...BODY_PARTS]),
      ...await describeParts(sql, tables.map(({ query }) => query)),
    ];
  });
}

async function described(url: string, describe: (sql: postgres.Sql) => Promise<string[]>): Promise<string> {
  const sql = connect(url);
  try {
    return [HEADER, ...await describe(sql)].join("\n");
  } finally {
    await sql.end();
  }
}
