/**
 * What settling and checkout call is plpgsql: its plans are kept for a connection's life. PostgreSQL up to 17 plans the
 * body of a `language sql` function anew in each statement that calls it, unless it can be written into that statement,
 * which `set search_path` forbids
 * (https://wiki.postgresql.org/wiki/Inlining_of_SQL_functions).
 */
import assert from "node:assert/strict";
import { createTestDatabase } from "../../scripts/local/test_database.ts";

const DOORS = [
  "public.receive_stripe_event",
  "public.apply_stripe_facts",
  "public.begin_checkout",
  "public.attach_checkout_session",
  "public.claim_jobs",
  "public.finish_jobs",
  "public.get_health",
];

interface Routine {
  name: string;
  language: string;
  body: string;
}

/** Names of the functions that `doors` reach, as far as their bodies name them. */
function reached(routines: Map<string, Routine>, doors: string[]): Set<string> {
  const found = new Set<string>();
  const waiting = [...doors];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const routine = routines.get(name);
    if (routine === undefined || found.has(name)) continue;
    found.add(name);
    for (const [, called = ""] of routine.body.matchAll(/\b((?:private|public)\.\w+)\s*\(/g)) {
      waiting.push(called);
    }
  }
  return found;
}

Deno.test("what settling, checkout and the queue call is plpgsql, whose plans are kept", async () => {
  await using database = await createTestDatabase();
  const rows = await database.sql<Routine[]>`
    select n.nspname || '.' || p.proname as name, l.lanname as language, p.prosrc as body
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
    where n.nspname in ('public', 'private')`;
  const routines = new Map(rows.map((row) => [row.name, row]));
  for (const door of DOORS) {
    assert.ok(routines.has(door), `${door} is gone: name the door that took its place`);
  }
  const names = [...reached(routines, DOORS)].sort();
  assert.ok(names.length > 150, `only ${names.length} functions are reached: their names are read wrongly`);
  assert.deepEqual(names.filter((name) => routines.get(name)?.language !== "plpgsql"), []);
});
