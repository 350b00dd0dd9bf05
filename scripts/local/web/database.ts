import postgres from "postgres";

/** One row as the driver gives it. */
type Row = Record<string, unknown>;

/** Reads rows, or throws a {@link DatabaseError} whose message names the fix. */
export interface Database {
  query(text: string, parameters?: (string | number)[]): Promise<Row[]>;
  end(options: { timeout: number }): Promise<void>;
}

/** A failure to read, in words for whoever looks at the page. */
class DatabaseError extends Error {}

const CONNECTION_CODES = new Set([
  "ECONNREFUSED",
  "CONNECT_TIMEOUT",
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "57P03",
]);

function explain(error: unknown): DatabaseError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const message = error instanceof Error ? error.message : String(error);
  if (code === "42P01" || code === "42703" || code === "3F000") {
    return new DatabaseError(
      `${message}. The migrations have not been applied: run \`deno task dev --fresh\`.`,
    );
  }
  if (CONNECTION_CODES.has(code)) {
    return new DatabaseError("The database does not answer. Start the stack with `deno task dev`.");
  }
  return new DatabaseError(`The database refused the query: ${message}`);
}

/** A read-only view of the database: every transaction is `read only`, whatever the role may do. */
export function openDatabase(url: string): Database {
  const sql = postgres(url, {
    max: 4,
    idle_timeout: 30,
    connect_timeout: 3,
    // Whoever loads the page again must not wait for a longer and longer pause.
    backoff: () => 0.05,
    fetch_types: false,
    onnotice: () => {},
    connection: { default_transaction_read_only: true, statement_timeout: 5000 },
  });
  return {
    query: async (text, parameters = []) => {
      try {
        return await sql.unsafe(text, parameters);
      } catch (error) {
        throw explain(error);
      }
    },
    end: (options) => sql.end(options),
  };
}
