/**
 * Searches all orders of events for one that ends differently. The state of the database after a set of moves is
 * described by `search.state()`; two orders that meet in one state share everything that follows, so visiting
 * every (set, state) once proves what trying every permutation would.
 */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { createTestDatabase, type TestDatabase } from "../../../scripts/local/test_database.ts";
import { firstSeed, randomFrom, runs, shuffledWithDuplicates } from "./runs.ts";
import { stockShop } from "./shop.ts";
import type { Move } from "./moves.ts";

/** A database with the shop and the search functions. */
export async function searchDatabase(onHand = 10): Promise<TestDatabase> {
  const database = await createTestDatabase();
  await database.sql.unsafe(await Deno.readTextFile(new URL("search.sql", import.meta.url))).simple();
  await stockShop(database.sql, onHand);
  return database;
}

/**
 * Runs `work` on one connection in a transaction that is rolled back. Without table scans: thousands of undone branches
 * leave dead rows behind, and only an index remembers which are dead.
 */
export async function undone<T>(
  sql: postgres.Sql,
  work: (tx: postgres.ReservedSql) => Promise<T>,
): Promise<T> {
  const tx = await sql.reserve();
  try {
    await tx`begin; set local enable_seqscan = off`.simple();
    return await work(tx);
  } finally {
    await tx`rollback`;
    tx.release();
  }
}

/** What an exhaustive search saw. */
export interface Explored {
  /** Pairs of applied moves and state. */
  states: number;
  steps: number;
  /** Orders in which the moves can come: all of them were covered. */
  permutations: number;
}

type Tx = postgres.ReservedSql;
type Parameter = Parameters<postgres.Sql["json"]>[0];

const json = (tx: Tx, value: unknown) => tx.json(value as Parameter);

/**
 * Visits every order of `moves`. At each state everything that was applied is repeated, which must change nothing:
 * so any number of duplicates, anywhere, is covered too. `inspect` runs once, at the end that all orders share.
 */
export async function explore(
  tx: Tx,
  moves: Move[],
  orderIds: string[],
  inspect: () => Promise<void>,
): Promise<Explored> {
  assert(moves.length < 31, "a set of moves is a bit mask");
  const visited = new Set<string>();
  const everything = (1 << moves.length) - 1;
  let end: { hash: string; path: number[]; state: string } | null = null;
  let steps = 0;

  async function visit(applied: number, hash: string, path: number[]): Promise<void> {
    if (applied === everything) return await arrive(hash, path);
    for (const [index, move] of moves.entries()) {
      const next = applied | (1 << index);
      if (next === applied) continue;
      steps++;
      // Sent at once and awaited together: one round trip.
      const savepoint = tx`savepoint branch`.execute();
      const [row] = await tx<{ step: string }[]>`select search.step(${
        json(tx, move)
      }, ${orderIds}::uuid[]) as step`;
      await savepoint;
      const [outcome = "", after = ""] = (row?.step ?? "").split(" ");
      if (outcome === "queued") await fail(tx, moves, [...path, index]);
      if (!visited.has(`${next} ${after}`)) {
        visited.add(`${next} ${after}`);
        await checkRepeats(tx, moves, [...path, index], orderIds, after);
        await visit(next, after, [...path, index]);
      }
      await tx`rollback to savepoint branch; release savepoint branch`.simple();
    }
  }

  async function arrive(hash: string, path: number[]): Promise<void> {
    if (end === null) {
      end = { hash, path, state: await describe(tx, orderIds) };
      await inspect();
    } else if (end.hash !== hash) {
      const other = await describe(tx, orderIds);
      assert.equal(
        other,
        end.state,
        `${names(moves, path)}\nends differently from\n${names(moves, end.path)}`,
      );
    }
  }

  await visit(0, "", []);
  return { states: visited.size, steps, permutations: factorial(moves.length) };
}

/**
 * Does everything again, and merges the newest facts once more past the check for duplicates. Earlier facts had their
 * turn in the state before, which differs from this one only by the newest; and a delivery of an event that was applied
 * gets no further than the event's row, so of events too only the newest comes again.
 */
async function checkRepeats(
  tx: Tx,
  moves: Move[],
  path: number[],
  orderIds: string[],
  before: string,
): Promise<void> {
  const again = path.map((index) => moves[index])
    .filter((move, at) => move?.call !== "event" || at === path.length - 1);
  await tx`savepoint repeated`;
  const [row] = await tx`select search.repeat(${json(tx, again)}, ${orderIds}::uuid[]) as hash`;
  const changed = row?.["hash"] !== before ? await describe(tx, orderIds) : null;
  await tx`rollback to savepoint repeated; release savepoint repeated`.simple();
  if (changed !== null) {
    const message = `duplicates change the state after ${names(moves, path)}`;
    assert.equal(changed, await describe(tx, orderIds), message);
  }
}

/** Plays the moves in a given sequence (an index may come again) and returns the hash of the end. */
async function play(tx: Tx, moves: Move[], sequence: number[], orderIds: string[]): Promise<string> {
  const [row] = await tx`select search.play(${
    json(tx, moves)
  }, ${sequence}::integer[], ${orderIds}::uuid[]) as hash`;
  return String(row?.["hash"]);
}

/**
 * Plays seeded random orders, each event once and up to twice more, and fails with the seed when two end differently.
 * `inspect` runs at the end of the first.
 */
export async function sample(
  tx: Tx,
  moves: Move[],
  orderIds: string[],
  inspect: () => Promise<void>,
): Promise<void> {
  let expected: string | null = null;
  let hash = "";
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const sequence = shuffledWithDuplicates(moves.length, randomFrom(seed));
    await tx`savepoint attempt`;
    const end = await play(tx, moves, sequence, orderIds);
    if (expected === null) {
      expected = await describe(tx, orderIds);
      hash = end;
      await inspect();
    } else if (end !== hash) {
      const other = await describe(tx, orderIds);
      assert.equal(other, expected, `CONVERGENCE_SEED=${seed}: ${names(moves, sequence)}`);
    }
    await tx`rollback to savepoint attempt; release savepoint attempt`.simple();
  }
}

/** The state as text with one value a line, for comparing. */
async function describe(tx: Tx, orderIds: string[]): Promise<string> {
  const [row] = await tx`select jsonb_pretty(search.state(${orderIds}::uuid[])) as state`;
  return String(row?.["state"]);
}

async function fail(tx: Tx, moves: Move[], path: number[]): Promise<never> {
  const errors = await tx`select id, last_error from public.webhook_events where last_error is not null`;
  throw new Error(`${names(moves, path)} fails: ${JSON.stringify(errors)}`);
}

/** The path as a list of what happened. */
export function names(moves: Move[], path: number[]): string {
  return path.map((index) => {
    const move = moves[index];
    return move === undefined ? "?" : move.call === "event" ? move.id : move.call;
  }).join(" → ");
}

function factorial(n: number): number {
  return n <= 1 ? 1 : n * factorial(n - 1);
}
