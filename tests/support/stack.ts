import postgres from "postgres";
import { type Stack, startStack } from "../../scripts/local/stack.ts";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { assertInvariants } from "./invariants.ts";

/** Options of {@linkcode testStack}. */
export interface TestStackOptions {
  /** Variables for the functions. */
  env?: Record<string, string>;
  /** Start the web pages and the mail stand-in; without them no mail can be sent. Off unless true. */
  web?: boolean;
  /** Call `retry-jobs` every two seconds. Off unless true: most tests drive it themselves. */
  jobs?: boolean;
  /** Hold the database against everything that must always be true when the stack stops. On unless false. */
  invariants?: boolean;
}

/** A stack for one test file. */
export interface TestStack extends Stack, AsyncDisposable {
  /** Connections as superuser to the stack's database. */
  sql: postgres.Sql;
}

/**
 * Starts a stack on free ports with a fresh, seeded database of the run's server. The shared address limit and the
 * velocity rules are lifted, since every test comes from 127.0.0.1; a test of them sets its own.
 */
export async function testStack(options: TestStackOptions = {}): Promise<TestStack> {
  const dir = await Deno.makeTempDir({ prefix: "kct-test-stack-" });
  const database = await createTestDatabase("seeded");
  // It comes by the hour of the day, and no test may.
  await database.sql`update private.settings set value = 'null' where key = 'digest_hour'`;
  const cleanUp = async () => {
    await database.drop();
    await Deno.remove(dir, { recursive: true });
  };
  try {
    const stack = await startStack({
      dir,
      env: { CHECKOUT_RATE_LIMIT: "100000", VELOCITY_MODE: "off", ...options.env },
      quiet: true,
      jobs: options.jobs ?? false,
      web: options.web ?? false,
      warmUp: false,
      databaseUrl: database.url,
    });
    const stop = async () => {
      await stack.stop();
      try {
        if (options.invariants !== false) await assertInvariants(database.sql);
      } finally {
        await cleanUp();
      }
    };
    return { ...stack, sql: database.sql, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await cleanUp();
    throw error;
  }
}
