/**
 * The one door to the database: `call()` takes a SQL function's name and arguments as `database_types.ts` has them.
 * Each call is one transaction and one round trip. What a subject asks of the database stands in a file of its own
 * beside this one: one wrapper per SQL function, with the function's name in camelCase.
 */
import { PostgrestClient } from "@supabase/postgrest-js";
import type { Env } from "../env.ts";
import { type DatabaseFailure, fromDatabaseFailure, isRepeatable } from "../errors.ts";
import type { Database, Json } from "./database_types.ts";
import { createLine, type Turn } from "./line.ts";
import { storable } from "./storable.ts";

export type { Json } from "./database_types.ts";

type Functions = Database["public"]["Functions"];
export type FunctionName = keyof Functions;

/** The arguments of a SQL function. Each may be null, which the generator does not know; JSON is what it is made of. */
export type Arguments<F extends FunctionName> = Functions[F]["Args"] extends Record<PropertyKey, never>
  ? Record<never, never>
  : { [A in keyof Functions[F]["Args"]]: Argument<Functions[F]["Args"][A]> };

type Argument<T> = Json extends T ? object | null : T | null;

/** What a SQL function answers, as generated: every field of a composite may be null, no column of a table. */
export type Returned<F extends FunctionName> = Functions[F]["Returns"];

/**
 * A generated shape with some fields as they really are: never null, null at times, or one of few words. A field that
 * the shape does not have is an error. `tests/db/result_shapes.test.ts` holds what is said here to what comes.
 */
export type Known<Shape, Fields extends { [K in keyof Fields]: K extends keyof Shape ? unknown : never }> =
  & Omit<Shape, keyof Fields>
  & Fields;

/** Calls SQL functions with the project's secret key. */
export interface Call {
  /** @throws AppError whatever {@linkcode fromDatabaseFailure} makes of a failure. */
  <F extends FunctionName, A extends Arguments<F>>(
    name: F,
    args: A & Record<Exclude<keyof A, keyof Arguments<F>>, never>,
  ): Promise<Returned<F>>;
  /**
   * The same door for a caller with a deadline: each call gives up after what `limitMs` says as it begins. Calls that
   * start something may be refused while many others are under way, and `limitMs` is asked again when their turn comes;
   * without a word each goes on with what has begun.
   */
  within(limitMs: () => number, turn?: Turn): Call;
}

/** Slower than this and the caller is better served by a retry; Stripe itself waits longer. */
const timeoutMs = 10_000;
const repeatLimit = 3;

/**
 * Opens the door of a project. Nothing is sent before the first call. A key that the gateway refuses gives way to the
 * next for good: a worker outlives a key that is deleted while keys are rotated.
 */
export function createCall(
  env: Pick<Env, "supabaseUrl" | "secretKeys">,
  fetcher: typeof fetch = fetch,
): Call {
  const { default: usual, ...others } = env.secretKeys;
  const keys = [...usual === undefined ? [] : [usual], ...Object.values(others)];
  const client = new PostgrestClient(`${env.supabaseUrl}/rest/v1`, {
    fetch: withKeys(keys, fetcher),
    retry: false,
  });
  const line = createLine();
  const within = (limitMs: () => number, turn: Turn = "goes on"): Call =>
    Object.assign(
      async <F extends FunctionName>(name: F, args: object) => {
        const patience = AbortSignal.timeout(limitMs());
        return await line.pass(turn, patience, () => {
          // Time in line says nothing about the database, and how late it is counts when something would be held.
          const signal = turn === "starts" ? AbortSignal.timeout(limitMs()) : patience;
          return send(client, name, args, signal);
        }) as Returned<F>;
      },
      { within },
    );
  return within(() => timeoutMs);
}

/** The gateway looks at the key before anything else, so a call that it answers 401 has done nothing. */
function withKeys(keys: string[], fetcher: typeof fetch): typeof fetch {
  let at = 0;
  return async (input, init) => {
    for (let tried = at;; tried++) {
      const headers = new Headers(init?.headers);
      headers.set("apikey", keys[tried] ?? "");
      const response = await fetcher(input, { ...init, headers });
      if (response.status !== 401 || tried + 1 >= keys.length) return response;
      await response.body?.cancel();
      at = tried + 1;
    }
  };
}

async function send(
  client: PostgrestClient,
  name: string,
  args: object,
  signal: AbortSignal,
): Promise<unknown> {
  for (let round = 1;; round++) {
    const { data, error, status } = await client.rpc(name, storable(args)).abortSignal(signal);
    if (error === null) return data;
    const failure: DatabaseFailure = {
      code: error.code ?? "",
      message: error.message,
      details: error.details ?? null,
      status,
    };
    if (!isRepeatable(failure) || round === repeatLimit) throw fromDatabaseFailure(failure);
    await pause(round * 20 * (1 + Math.random()));
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The row of a function that answers one row or none. */
export async function rowOrNull<T>(rows: Promise<T[]>): Promise<T | null> {
  return (await rows)[0] ?? null;
}
