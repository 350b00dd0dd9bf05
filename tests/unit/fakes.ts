/** Plain objects that stand in for a function's dependencies in unit tests. */
import type { Call } from "../../supabase/functions/_shared/database/client.ts";
import { type Env, loadEnv } from "../../supabase/functions/_shared/env.ts";
import { createLogger, type Logger } from "../../supabase/functions/_shared/log.ts";
import type { Metrics } from "../../supabase/functions/_shared/metrics.ts";

export const publishableKey = "sb_publishable_unit_tests";
export const secretKey = "sb_secret_unit_tests";

/** A complete environment as the platform hands it over; `changes` replace or, when undefined, remove variables. */
export function environment(
  changes: Record<string, string | undefined> = {},
): Record<string, string | undefined> {
  return {
    SUPABASE_URL: "http://127.0.0.1:1",
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: publishableKey }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: secretKey }),
    SUPABASE_JWKS: JSON.stringify({ keys: [] }),
    STRIPE_SECRET_KEY: "sk_test_unit",
    STRIPE_WEBHOOK_SECRETS: "whsec_unit_tests",
    STRIPE_API_BASE: "http://127.0.0.1:1",
    APP_ENV: "development",
    ALLOWED_ORIGINS: "https://shop.example,http://localhost:3000",
    SITE_URL: "https://shop.example/store/",
    SHIPPING_COUNTRIES: "US,CA,GB",
    LINK_SIGNING_SECRET: "0123456789abcdef0123456789abcdef",
    ...changes,
  };
}

/** The checked form of `environment()`. */
export function testEnv(changes: Record<string, string | undefined> = {}): Env {
  return loadEnv(environment(changes));
}

/** A logger that keeps its lines, parsed. */
export function keptLog(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  return { log: createLogger({}, (_level, line) => lines.push(JSON.parse(line))), lines };
}

/** A database that answers as told; `limitMs` is what the caller has for the call. */
export function fakeCall(
  answer: (name: string, args: Record<string, unknown>, limitMs: number) => Promise<unknown>,
): Call {
  const within = (limitMs: () => number): Call =>
    Object.assign(
      (name: string, args: Record<string, unknown>) => answer(name, args, limitMs()),
      { within },
    ) as unknown as Call;
  return within(() => 10_000);
}

/** Metrics that nobody reads. */
export const uncounted: Metrics = { count: () => {}, observe: () => {} };

/** A clock that only moves when told to. */
export function fixedClock(
  start = Date.parse("2026-11-08T12:00:00Z"),
): { now: () => number; advance(ms: number): void } {
  let time = start;
  return { now: () => time, advance: (ms) => time += ms };
}

/** Reads an event fixture by its type. */
export async function fixture(type: string): Promise<Record<string, unknown>> {
  const path = new URL(`../fixtures/events/${type}.json`, import.meta.url);
  return JSON.parse(await Deno.readTextFile(path));
}

/** The `error` object of a failure's body. */
export async function errorOf(
  response: Response,
): Promise<{ code: string; details?: unknown; message: string }> {
  return (await response.json()).error;
}
