/** Worlds on virtual time, as `deno task simulate` lives them by the hundred: a few small ones here, one of them new. */
import assert from "node:assert/strict";
import { connect } from "../../../scripts/lib/connection.ts";
import { adminUrl } from "../../../scripts/local/test_database.ts";
import { createWorldDatabase, prepareTemplate } from "../../../scripts/quality/simulate/database.ts";
import { mistakeIn, readKept } from "../../../scripts/quality/simulate/kept.ts";
import { shrink } from "../../../scripts/quality/simulate/shrink.ts";
import { planDay, type Step } from "../../../scripts/quality/simulate/steps.ts";
import { startThread } from "../../../scripts/quality/simulate/threads.ts";

const server = await adminUrl();
await prepareTemplate(server);

const small = { orders: 2, hours: 0.05 };
/** So small a world would never tidy up. */
const options = { adminUrl: server, tidyEvery: 200 };
const thread = startThread();
globalThis.addEventListener("unload", () => thread[Symbol.dispose]());

/** Works while a transaction of another database keeps the server from cleaning rows away. */
async function besideLongTransaction<T>(work: () => Promise<T>): Promise<T> {
  const other = connect(server);
  try {
    await other`begin isolation level repeatable read`;
    await other`select 1`;
    return await work();
  } finally {
    await other.end();
  }
}

Deno.test("simulation: nothing is lost, doubled or left undone in a world that nobody has seen, and it can be told again", async () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const again = `deno task simulate --seed ${seed} --orders 2 --hours 0.05`;
  const world = { seed, steps: planDay(seed, small) };
  const { report } = await thread.live(world, options);
  assert.deepEqual(report.violations, [], again);
  // However long each event is waited for, and whatever the server's other databases keep open.
  const patient = await besideLongTransaction(() => thread.live(world, { ...options, turns: 12 }));
  assert.equal(patient.report.hash, report.hash, again);
});

Deno.test("simulation: where the rows lie, and so what is found first, is not for other databases to say", async () => {
  const world = { seed: 1, steps: planDay(1, small) };
  const { report } = await thread.live(world, options);
  const beside = await besideLongTransaction(() => thread.live(world, options));
  assert.equal(beside.report.hash, report.hash);
});

Deno.test("simulation: worlds that failed once pass, and fail where their mistake is made again", async (test) => {
  const kept = await readKept();
  assert.ok(kept.size > 0);
  for (const [name, { mutant, rule, seed, steps }] of kept) {
    await test.step(name, async () => {
      assert.ok(steps.length <= 20);
      const { report } = await thread.live({ seed, steps }, { adminUrl: server });
      assert.deepEqual(report.violations, []);
      if (mutant === undefined) return;
      const sabotage = await mistakeIn(mutant);
      const broken = await thread.live({ seed, steps }, { adminUrl: server, sabotage });
      assert.ok(broken.report.violations.some((violation) => violation.rule === rule), rule);
    });
  }
});

Deno.test("simulation: no clock and no chance of the server's own is left in what the migrations make", async () => {
  await using database = await createWorldDatabase(server, 1);
  const own = await database.sql<{ place: string }[]>`
    with texts (place, text) as (
      select p.oid::regprocedure::text, p.prosrc || coalesce(pg_get_function_sqlbody(p.oid), '')
        from pg_proc p where p.pronamespace <> 'pg_catalog'::regnamespace and p.prolang in (
          select l.oid from pg_language l where l.lanname in ('sql', 'plpgsql'))
      union all select d.adrelid::regclass::text, pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d
      union all select v.schemaname || '.' || v.viewname, v.definition from pg_views v where v.schemaname not in (
        'pg_catalog', 'information_schema')
      union all select c.conname, pg_get_constraintdef(c.oid) from pg_constraint c
      union all select y.policyname, coalesce(y.qual, '') || coalesce(y.with_check, '') from pg_policies y
      union all select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) from pg_index i
      union all select t.tgname, pg_get_triggerdef(t.oid) from pg_trigger t
    )
    select place from texts where text ~* ${String
    .raw`\m(real_\w+|current_timestamp|current_date|current_time|localtime|localtimestamp|pg_sleep)\M`} or text ~* ${String
    .raw`'(now|today|tomorrow|yesterday)'`}
      or text ~* ${String
    .raw`\m(uuid_generate_v[14]|gen_random_bytes|pg_current_xact_id|txid_current|pg_backend_pid)\M`}
    order by 1`;
  assert.deepEqual(own.map(({ place }) => place), []);
  await database.sql`select set_config('simulation.now', '2031-05-06T07:08:09Z', false)`;
  const [told] = await database.sql`select now() = clock_timestamp() and now() = statement_timestamp()
    and now() = transaction_timestamp() and extract(year from now()) = 2031 as same`;
  assert.equal(told?.same, true);
});

Deno.test("shrink() finds the few steps that a failure takes, whatever stands between them", async () => {
  const steps = planDay(3, { orders: 60, hours: 3 });
  const needed = [steps[7], steps[91]].filter((step) => step !== undefined);
  assert.equal(needed.length, 2);
  let asked = 0;
  const fails = (fewer: Step[]) => {
    asked += 1;
    return Promise.resolve(needed.every((step) => fewer.includes(step)));
  };
  assert.deepEqual(await shrink(steps, fails), needed);
  assert.ok(asked < 100, `asked ${asked} times`);
});
