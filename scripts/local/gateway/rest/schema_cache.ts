import type postgres from "postgres";
import { relationshipsOf } from "./relationships.ts";
import { SCHEMA_QUERY } from "./schema_query.ts";
import type { ForeignKey, Relation, Routine, Snapshot } from "./snapshot.ts";

/** What the layer knows of each schema: read on first use, and again after the database says that it changed. */
export class SchemaCache {
  readonly #snapshots = new Map<string, Promise<Snapshot>>();
  #listening: Promise<unknown> | null = null;
  #timeZones: Promise<ReadonlySet<string>> | null = null;

  constructor(readonly sql: postgres.Sql) {}

  /** Returns the current knowledge of an exposed schema. */
  async current(schema: string): Promise<Snapshot> {
    this.#listening ??= this.sql.listen("pgrst", () => this.forget(), () => this.forget());
    await this.#listening.catch((error) => {
      this.#listening = null;
      throw error;
    });
    const known = this.#snapshots.get(schema);
    if (known !== undefined) return await known;
    const snapshot = load(this.sql, schema);
    this.#snapshots.set(schema, snapshot);
    snapshot.catch(() => this.forget());
    return await snapshot;
  }

  /** Names of the time zones that a request may ask for. */
  async timeZones(): Promise<ReadonlySet<string>> {
    this.#timeZones ??= this.sql<{ name: string }[]>`select name from pg_timezone_names`
      .then((rows) => new Set(rows.map(({ name }) => name)));
    return await this.#timeZones.catch((error) => {
      this.#timeZones = null;
      throw error;
    });
  }

  /** Forgets everything, so that the next request reads the schema again. */
  forget(): void {
    this.#snapshots.clear();
  }
}

async function load(sql: postgres.Sql, schema: string): Promise<Snapshot> {
  const [row] = await sql.unsafe(SCHEMA_QUERY, [schema]);
  const found = JSON.parse(row?.snapshot);
  const relations = new Map((found.relations as Relation[]).map((relation) => [relation.name, relation]));
  const roles = found.roles as { name: string; settings: string[] }[];
  return {
    relations,
    relationships: relationshipsOf(found.foreignKeys as ForeignKey[], relations),
    computed: found.computed,
    routines: Map.groupBy(found.routines as Routine[], ({ name }) => name),
    roleSettings: new Map(roles.map((role) => [
      role.name,
      role.settings.filter((setting) => setting.startsWith("statement_timeout=")).map((setting) => {
        const equals = setting.indexOf("=");
        return [setting.slice(0, equals), setting.slice(equals + 1)];
      }),
    ])),
  };
}
