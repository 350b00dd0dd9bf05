/** The project as the signed-in person sees it: rows over REST, commands over RPC, both under their own rights. */
import type { createClient, SupabaseClient } from "@supabase/supabase-js";

/** The global of supabase-js's own bundle, which the document loads. */
declare const supabase: { createClient: typeof createClient };

/** What the server tells of the project. */
interface Settings {
  api_url: string;
  publishable_key: string;
  demo: { email: string; password: string } | null;
}

/** A refusal or failure, in words for the person at the console. */
export class BackendError extends Error {}

/** The shop in one row: `reporting.shop`. */
export interface Shop {
  name: string | null;
  time_zone: string;
  runbook_url: string | null;
  low_stock_at: number;
  open_alerts: number;
  dead_jobs: number;
  dead_events: number;
}

interface Answer {
  data: unknown;
  error: { message: string; code?: string | undefined; hint?: string | null | undefined } | null;
}

/** A project and who is signed in to it. */
export class Backend {
  readonly client: SupabaseClient;
  readonly demo: Settings["demo"];

  private constructor(client: SupabaseClient, demo: Settings["demo"]) {
    this.client = client;
    this.demo = demo;
  }

  /** Asks the server which project it is. The session is kept in this tab alone, and goes with it. */
  static async open(): Promise<Backend> {
    const response = await fetch("/console/settings.json");
    if (!response.ok) throw new BackendError("The console's own server does not answer.");
    const settings: Settings = await response.json();
    const client = supabase.createClient(settings.api_url, settings.publishable_key, {
      auth: {
        storage: sessionStorage,
        storageKey: "console",
        detectSessionInUrl: false,
        flowType: "implicit",
      },
    });
    return new Backend(client, settings.demo);
  }

  /** A table or view, `name` or `reporting.name`, to select from. */
  from(name: string) {
    const [schema, view] = name.split(".");
    return view === undefined ? this.client.from(name) : this.client.schema(schema ?? "").from(view);
  }

  /** Orders by whatever a customer says, as `reporting.find_order()` does. */
  findOrders(text: string) {
    return this.client.schema("reporting").rpc("find_order", { p_text: text });
  }

  /**
   * Carries out a staff command and answers its result. The same id is carried out once, however often it is sent.
   * @throws BackendError with what the database says.
   */
  async command(name: string, args: Record<string, unknown>, id: string): Promise<Record<string, unknown>> {
    const answer = await this.client.rpc(name, { ...args, p_command_id: id });
    if (answer.error !== null) throw refusal(answer.error);
    return typeof answer.data === "object" && answer.data !== null ? { ...answer.data } : {};
  }
}

/** The rows of a query. @throws BackendError where it was refused or nothing answers. */
export async function rowsOf<T>(query: PromiseLike<Answer>): Promise<T[]> {
  const { data, error } = await query;
  if (error !== null) throw refusal(error);
  // The select says what comes; the views and tables have their columns in docs/reporting.md.
  return data as T[];
}

/** Rows that are asked for at once; the API may answer with fewer (`max_rows`). */
const BATCH_ROWS = 1_000;

/** All rows of a query of any length, which `query` asks for from one row to another. @throws BackendError */
export async function allRowsOf<T>(query: (from: number, to: number) => PromiseLike<Answer>): Promise<T[]> {
  const rows: T[] = [];
  for (;;) {
    const more = await rowsOf<T>(query(rows.length, rows.length + BATCH_ROWS - 1));
    if (more.length === 0) return rows;
    rows.push(...more);
  }
}

/** How many rows a query has, which was asked with `count: "exact"`; otherwise as {@linkcode rowsOf}. */
export async function countOf(query: PromiseLike<Answer & { count: number | null }>): Promise<number> {
  const { count, error } = await query;
  if (error !== null) throw refusal(error);
  return count ?? 0;
}

function refusal({ message, code, hint }: NonNullable<Answer["error"]>): BackendError {
  if (/failed to fetch|load failed|networkerror/i.test(message)) {
    return new BackendError("The project does not answer. What is shown may be old.");
  }
  if (code === "PGRST106") {
    return new BackendError("Schema reporting is not exposed: deno task setup sees to it.");
  }
  return new BackendError([message, hint].filter(Boolean).join(". "));
}
