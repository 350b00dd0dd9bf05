/** `supabase/schemas` and `supabase/migrations` say the same. */
import { join } from "node:path";
import { connect, withDatabaseName } from "../../lib/connection.ts";
import {
  isReleased,
  schemaPathProblems,
  schemaPaths,
  staleMigrations,
  writeMigrations,
} from "../../lib/schemas.ts";
import { applySchemas } from "../../local/migrate.ts";
import { describeDatabase } from "./schema_snapshot.ts";
import { judged, type Step } from "./step.ts";

/** Every file under `supabase/schemas` is listed once, and until the first release the migrations are made from them. */
export const migrationFiles: Step = {
  name: "migrations",
  async run({ root, write }) {
    const problems = await schemaPathProblems(join(root, "supabase"));
    if (problems.length > 0) return judged(problems.map((problem) => `supabase/config.toml: ${problem}`));
    if (write && !await isReleased(root)) {
      const changed = await writeMigrations(root);
      return judged([], changed.length === 0 ? undefined : `wrote ${changed.join(", ")}`);
    }
    const stale = await staleMigrations(root);
    return judged(
      stale.map((name) =>
        `supabase/migrations/${name} is not what supabase/schemas makes: run 'deno task migrations'`
      ),
    );
  },
};

/** Both lead to the same database: every object with its body, rights and comment, and every row. */
export const schemasEqualMigrations: Step = {
  name: "schemas = migrations",
  async run({ root, adminUrl }) {
    const admin = connect(adminUrl);
    try {
      await admin.unsafe("drop database if exists from_schemas with (force)");
      await admin.unsafe("create database from_schemas");
    } finally {
      await admin.end();
    }
    const [fromSchemas, migrated] = [
      withDatabaseName(adminUrl, "from_schemas"),
      withDatabaseName(adminUrl, "migrated"),
    ];
    const dir = join(root, "supabase");
    await applySchemas(fromSchemas, dir, await schemaPaths(dir));
    return judged(firstDifference(await describeDatabase(fromSchemas), await describeDatabase(migrated)));
  },
};

/** The first line in which the two differ, with the object it belongs to. */
export function firstDifference(fromSchemas: string, fromMigrations: string): string[] {
  const schemas = fromSchemas.split("\n"), migrations = fromMigrations.split("\n");
  const length = Math.max(schemas.length, migrations.length);
  for (let at = 0; at < length; at++) {
    if (schemas[at] === migrations[at]) continue;
    const start = schemas.slice(0, at).lastIndexOf("");
    return [
      `supabase/schemas and supabase/migrations lead to different databases, at: ${
        schemas[start + 1] ?? "(end)"
      }`,
      `  schemas:    ${schemas[at] ?? "(end)"}`,
      `  migrations: ${migrations[at] ?? "(end)"}`,
    ];
  }
  return [];
}
