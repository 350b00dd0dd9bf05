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
