import postgres from "postgres";
import type { Paging } from "../paging.ts";

/** One row as the driver gives it; the console renders whatever columns are there. */
export type Row = Record<string, unknown>;

/** Reads one page of the rows of `text`, which needs an order that no two rows share. */
export async function queryPage(database: Database, paging: Paging, text: string): Promise<Row[]> {
  return await database.query(`${text} limit $1 offset $2`, [paging.limit, paging.offset]);
}

/** Reads rows, or throws a {@link ConsoleError} whose message names the fix. */
export interface Database {
  query(text: string, parameters?: (string | number)[]): Promise<Row[]>;
  end(options: { timeout: number }): Promise<void>;
}

/** A failure to read, in words for the person at the console. */
export class ConsoleError extends Error {}

const CONNECTION_CODES = new Set([
  "ECONNREFUSED",
  "CONNECT_TIMEOUT",
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "57P03",
]);

function explain(error: unknown): ConsoleError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const message = error instanceof Error ? error.message : String(error);
  if (code === "42P01" || code === "42703" || code === "3F000") {
    return new ConsoleError(
      `${message}. The migrations have not been applied: run \`deno task dev --fresh\`.`,
    );
  }
  if (CONNECTION_CODES.has(code)) {
    return new ConsoleError("The database does not answer. Start the stack with `deno task dev`.");
  }
  return new ConsoleError(`The database refused the query: ${message}`);
}

/** A read-only view of the database: every transaction is `read only`, whatever the role may do. */
export function openDatabase(url: string): Database {
  const sql = postgres(url, {
    max: 4,
    idle_timeout: 30,
    connect_timeout: 3,
    // A page that refreshes every few seconds asks again by itself; it must not wait for a longer and longer pause.
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
