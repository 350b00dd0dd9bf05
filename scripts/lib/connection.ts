import postgres from "postgres";

/** Opens a connection whose notices stay out of the output; end it with `end()`. */
export function connect(url: string, options: postgres.Options<Record<string, never>> = {}): postgres.Sql {
  return postgres(url, { max: 1, onnotice: () => {}, fetch_types: false, ...options });
}

/** Returns the same server's URL with another database. */
export function withDatabaseName(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

/** How long one statement of a session that only reads may take: the search for card numbers reads whole tables. */
const statementTimeout = "15min";

/** Opens a session that can only read; without an address there is none. */
export function openReadOnly(url: string | undefined) {
  const sql = url === undefined ? null : connect(url);
  return {
    async session(): Promise<postgres.Sql | null> {
      if (sql === null) return null;
      await sql.unsafe("set session characteristics as transaction read only");
      await sql.unsafe(`set statement_timeout = '${statementTimeout}'`);
      return sql;
    },
    async [Symbol.asyncDispose]() {
      await sql?.end();
    },
  };
}
