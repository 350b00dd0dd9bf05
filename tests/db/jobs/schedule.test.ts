import assert from "node:assert/strict";
import { SUPABASE_DIR } from "../../../scripts/lib/paths.ts";
import { schemaPaths } from "../../../scripts/lib/schemas.ts";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { asRole, sqlstateOf } from "../../support/role.ts";
import { scheduler } from "../../support/scheduler.ts";

const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test({
  ...options,
  name: "schedule: a plain Postgres gets the functions and no schedule, and says so",
  fn: async () => {
    await using database = await createTestDatabase();
    const { sql } = database;
    assert.equal((await sql`select private.schedule_jobs() as scheduled`)[0]?.scheduled, false);
    assert.equal(
      await sqlstateOf(sql`select private.set_schedule_target('https://x.example', 'k')`),
      "SHINV",
    );
    assert.equal(
      (await sql`select public.get_health() #>> '{checks,schedule,status}' as status`)[0]?.status,
      "ok",
    );
  },
});

Deno.test({
  ...options,
  name: "schedule: with pg_cron, pg_net and Vault one entry calls retry-jobs with the key from Vault",
  fn: async () => {
    await using database = await createTestDatabase();
    const { sql } = database;
    await sql.unsafe(scheduler).simple();
    const key = `sb_secret_${crypto.randomUUID()}`;
    const url = "https://ref.supabase.co/functions/v1/retry-jobs";
    await sql`select private.set_schedule_target(${"https://old.example"}, ${key})`;
    await sql`select private.set_schedule_target(${url}, ${key})`;
    const entries = await sql`select jobname, schedule, command from cron.job`;
    assert.deepEqual(entries.map((entry) => ({ ...entry })), [
      { jobname: "retry-jobs", schedule: "* * * * *", command: "select private.call_retry_jobs()" },
    ]);
    // What pg_net keeps its requests in is its own affair: only net.http_post is called.
    await sql`alter table net.http_request_queue rename to queue`;
    assert.equal((await sql`select private.schedule_jobs() as scheduled`)[0]?.scheduled, true);
    await sql`alter table net.queue rename to http_request_queue`;
    await sql.unsafe(String(entries[0]?.command));
    const [request] = await sql`select url, headers, body, timeout_milliseconds from net.http_request_queue`;
    assert.equal(request?.url, url);
    assert.deepEqual(request?.headers, { "content-type": "application/json", apikey: key });
    assert.deepEqual(request?.body, { limit: 1000 }, "as many jobs as one call may run");
    assert.ok(request?.timeout_milliseconds > 60_000, "a run may take a minute");
    const { count } = (await sql`select count(*)::integer as count from vault.secrets`)[0] ?? {};
    assert.equal(count, 2, "setting the target again replaces it");
  },
});

Deno.test({
  ...options,
  name: "schedule: API roles can read no key, and cannot call",
  fn: async () => {
    await using database = await createTestDatabase();
    const { sql } = database;
    await sql.unsafe(scheduler).simple();
    await sql`select private.set_schedule_target('https://x.example', 'key')`;
    await sql`select private.call_retry_jobs()`;
    for (const role of ["anon", "authenticated"] as const) {
      for (
        const statement of [
          "select * from net.http_request_queue",
          "select * from vault.secrets",
          "select * from vault.decrypted_secrets",
          "select * from cron.job",
          "select private.call_retry_jobs()",
          "select private.set_schedule_target('https://evil.example', 'key')",
        ]
      ) {
        assert.equal(
          await sqlstateOf(asRole(sql, role, (tx) => tx.unsafe(statement))),
          "42501",
          `${role}: ${statement}`,
        );
      }
    }
  },
});

Deno.test({
  ...options,
  name: "schedule: health shows failed runs and failing calls",
  fn: async () => {
    await using database = await createTestDatabase();
    const { sql } = database;
    await sql.unsafe(scheduler).simple();
    await sql`select private.schedule_jobs()`;
    const check = async () =>
      (await sql`select public.get_health() #> '{checks,schedule}' as check`)[0]?.check;
    await sql`insert into net._http_response (status_code, created) values (200, now()), (200, now()), (500, now())`;
    assert.equal((await check()).status, "ok");
    await sql`insert into net._http_response (status_code, created) select 401, now() from generate_series(1, 5)`;
    assert.deepEqual([(await check()).status, (await check()).calls_failed], ["degraded", 6]);
    await sql`truncate net._http_response`;
    await sql`insert into cron.job_run_details (jobid, status, start_time) select jobid, 'failed', now() from cron.job`;
    assert.deepEqual([(await check()).status, (await check()).runs_failed], ["degraded", 1]);
  },
});

Deno.test("schedule: everything that needs the scheduler is in the last migration", async () => {
  const paths = await schemaPaths(SUPABASE_DIR);
  assert.equal(paths.at(-1), "schemas/schedule/schedule.sql");
  for (const path of paths.slice(0, -1)) {
    const text = (await Deno.readTextFile(`${SUPABASE_DIR}/${path}`)).replaceAll(/--.*$/gm, "");
    // Health and retention look only after asking whether the tables are there.
    const guarded = /\/(health|retention)\.sql$/.test(path);
    assert.ok(guarded || !/\b(cron|net|vault)\.\w+/.test(text), `${path} uses the scheduler`);
  }
});
