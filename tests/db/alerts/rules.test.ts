/** Alert rules: each tells what it should, stays quiet otherwise, and what all of them have in common. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { refusal } from "../settlement/goods.ts";
import { Shop } from "./rule_shop.ts";
import { monthOfSales, ruleStories, sale } from "./rule_stories.ts";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** In a transaction that is undone. */
async function undone(work: (shop: Shop) => Promise<void>): Promise<void> {
  const tx = await sql.reserve();
  try {
    await tx`begin`;
    await work(new Shop(tx));
  } finally {
    await tx`rollback`;
    tx.release();
  }
}

async function filled(shop: Shop, fill: (shop: Shop) => Promise<unknown>): Promise<void> {
  await shop.tx`set local session_replication_role = replica`;
  await fill(shop);
  await shop.tx`set local session_replication_role = origin`;
}

/** So many minutes from now. */
async function evaluated({ tx }: Shop, minutes = 0): Promise<void> {
  const [row] =
    await tx`select public.evaluate_alert_rules(false, now() + ${minutes} * interval '1 minute') as failed`;
  assert.equal(row?.["failed"], 0, `${(await alertsOf(tx)).map(({ data }) => JSON.stringify(data))}`);
}

function alertsOf(tx: postgres.ReservedSql) {
  return tx`select kind, status, count, severity, data from public.alerts order by kind, first_at`;
}

async function openKinds({ tx }: Shop): Promise<string[]> {
  return (await alertsOf(tx)).filter(({ status }) => status !== "resolved").map(({ kind }) => kind);
}

Deno.test("every alert rule has a function and a story, and nothing else has", async () => {
  const rules = (await sql`select kind from private.alert_rules order by kind`).map(({ kind }) => kind);
  const functions = await sql`select substr(proname, 6) as kind from pg_proc
    where pronamespace = 'private'::regnamespace and proname like 'rule\\_%' and prorettype = 'private.alert_finding'::regtype
    order by 1`;
  assert(rules.length > 15);
  assert.deepEqual(functions.map(({ kind }) => kind), rules);
  assert.deepEqual(Object.keys(ruleStories).sort(), rules);
});

for (const [kind, story] of Object.entries(ruleStories)) {
  Deno.test(`${kind}: quiet, told once, and over`, async () => {
    await undone(async (shop) => {
      const { tx } = shop;
      await tx`savepoint empty`;
      for (const [index, quiet] of story.quiet.entries()) {
        await tx`rollback to savepoint empty`;
        await filled(shop, quiet);
        await evaluated(shop);
        assert.deepEqual(await openKinds(shop), [], `${index + 1} is quiet`);
      }

      await filled(shop, story.provoke);
      await evaluated(shop);
      await evaluated(shop);
      const [alert, ...others] = await alertsOf(tx);
      assert.deepEqual(others, []);
      const [rule] = await tx`select severity, window_seconds from private.alert_rules where kind = ${kind}`;
      assert.deepEqual([alert?.["kind"], alert?.["status"], alert?.["count"], alert?.["severity"]], [
        kind,
        "open",
        1,
        rule?.["severity"],
      ]);

      if (story.end !== undefined) await filled(shop, story.end);
      const window = Math.max(60, (rule?.["window_seconds"] ?? 0) / 60);
      await evaluated(shop, window + 11);
      assert.equal((await alertsOf(tx)).find((row) => row["kind"] === kind)?.["status"], "resolved");
    });
  });
}

Deno.test("dispute_ratio: ten cases within ten days are told before the month is over", async () => {
  await undone(async (shop) => {
    const { tx } = shop;
    await filled(shop, async () => {
      await monthOfSales(shop);
      await shop
        .tx`insert into public.payments (id, status, amount, currency, livemode, card_brand, succeeded_at, version)
        select 'pi_before_' || n, 'succeeded', 1, 'usd', false, 'visa', now() - interval '15 days', '1'
        from generate_series(1, 500) n`;
      await shop.times(10, (n) => shop.dispute(sale(n * 30 + 1), n * 1400 + 10));
    });
    await evaluated(shop);
    const [alert] = await alertsOf(tx);
    const { ratio, forecast_ratio, ...figures } = alert?.["data"];
    assert(ratio < 0.01 && forecast_ratio > 0.02, `${ratio} ${forecast_ratio}`);
    assert.deepEqual([figures.cases, figures.forecast_cases, figures.forecast_sales], [10, 30, 1_080]);
  });
});

Deno.test("an alert is counted up when it gets worse, and stays what staff made of it", async () => {
  await undone(async (shop) => {
    const { tx } = shop;
    const state = async () => {
      const [row] = await alertsOf(tx);
      return [row?.["status"], row?.["count"], row?.["data"].value];
    };
    const due = (count: number) => filled(shop, () => shop.times(count, () => shop.job("purge", 20)));
    await due(1);
    await evaluated(shop);
    await due(2);
    await evaluated(shop);
    assert.deepEqual(await state(), ["open", 2, 3]);
    await tx`select public.acknowledge_alert(id) from public.alerts`;
    await tx`update private.jobs set run_at = now() where id = (select min(id) from private.jobs where kind = 'purge')`;
    await evaluated(shop);
    assert.deepEqual(await state(), ["acknowledged", 2, 3], "better is no news");
    await tx`select public.resolve_alert(id) from public.alerts`;
    await evaluated(shop);
    assert.deepEqual((await state())[0], "open", "it is still so");
    await tx`delete from private.jobs where kind = 'purge'`;
    await evaluated(shop, 9);
    assert.deepEqual((await state())[0], "open", "it may come back within minutes");
    await evaluated(shop, 10);
    assert.deepEqual((await state())[0], "resolved");
  });
});

Deno.test("what has happened once is told once, also after staff have resolved it", async () => {
  await undone(async (shop) => {
    await filled(shop, () => shop.order({ paid: 5, pieces: 100 }));
    await evaluated(shop);
    const [alert] = await alertsOf(shop.tx);
    assert.equal(alert?.["data"].order_number, "R-1");
    await shop.tx`select public.resolve_alert(id) from public.alerts`;
    await evaluated(shop, 1);
    assert.deepEqual(await openKinds(shop), []);
  });
});

Deno.test("what is counted up while it goes on is over after its lull, and no other alert is", async () => {
  await undone(async (shop) => {
    const { tx } = shop;
    const lulls =
      await tx`select kind, extract(epoch from lull)::integer / 60 as minutes from private.alert_lulls`;
    const page = await Deno.readTextFile(new URL("../../../docs/runbook.md", import.meta.url));
    assert(lulls.length > 0);
    for (const { kind, minutes } of lulls) {
      assert(page.includes(`### ${kind}\n`), kind);
      await tx`select private.raise_alert(${kind}, 'warning', ${kind}), private.raise_alert('oversold', 'warning', 'oversold')`;
      await evaluated(shop, minutes - 1);
      assert.deepEqual(await openKinds(shop), [kind, "oversold"].sort());
      await evaluated(shop, minutes);
      assert.deepEqual(await openKinds(shop), ["oversold"]);
    }
  });
});

Deno.test("a rule that fails is told about, and the others are measured all the same", async () => {
  await undone(async (shop) => {
    const { tx } = shop;
    const measured = (by: string) =>
      tx.unsafe(`create or replace function private.rule_decline_rate(
        r private.alert_rules, p_livemode boolean, p_now timestamptz
      ) returns setof private.alert_finding language plpgsql set search_path = '' as $$ begin ${by}; end; $$`);
    await measured("perform 1 / 0");
    await filled(shop, ruleStories["job_backlog"]?.provoke ?? (() => Promise.reject()));
    await filled(shop, ruleStories["stock_leak"]?.provoke ?? (() => Promise.reject()));
    const [row] = await tx`select public.evaluate_alert_rules(false) as failed`;
    assert.equal(row?.["failed"], 1);
    assert.deepEqual(await openKinds(shop), ["alert_rule_failed", "job_backlog", "stock_leak"]);
    const [failed] = await alertsOf(tx);
    assert.deepEqual([failed?.["data"].rule, failed?.["severity"]], ["decline_rate", "critical"]);
    await measured("return");
    await evaluated(shop);
    assert.deepEqual(await openKinds(shop), ["job_backlog", "stock_leak"]);
  });
});

Deno.test("set_alert_rule() changes thresholds, hours and severity, and says what was", async () => {
  await undone(async (shop) => {
    const { tx } = shop;
    await filled(shop, () => shop.job("purge", 20));
    const [row] =
      await tx`select public.set_alert_rule('job_backlog', p_threshold => 1500, p_severity => 'info') as answer`;
    assert.deepEqual(
      [row?.["answer"].was.threshold, row?.["answer"].is.threshold, row?.["answer"].is.quiet_hours],
      [900, 1500, "none"],
    );
    await evaluated(shop);
    assert.deepEqual(await openKinds(shop), []);
    await evaluated(shop, 6);
    assert.equal((await alertsOf(tx))[0]?.["severity"], "info");

    await tx`select public.set_alert_rule('job_backlog', p_enabled => false)`;
    await evaluated(shop, 7);
    assert.deepEqual(await openKinds(shop), [], "a rule that is off tells nothing");
    await tx`select public.set_alert_rule('job_backlog', p_enabled => true)`;
    const [command] =
      await tx`select count(*)::int as count from public.staff_commands where command = 'set_alert_rule'`;
    assert.equal(command?.["count"], 3);
  });
});

Deno.test("a rule that is made critical tells at once, whatever it was when it told before", async () => {
  await undone(async (shop) => {
    const { tx } = shop;
    const told = async () => {
      const [alert] = await tx`select id, severity from public.alerts where kind = 'job_backlog'`;
      const jobs = await tx`select from private.jobs where kind = 'send_alert'`;
      const [row] = await tx`select public.take_alert_message(${alert?.["id"]}) ->> 'outcome' as outcome`;
      return [alert?.["severity"], jobs.length, row?.["outcome"]];
    };
    const set = (severity: string) =>
      tx`select public.set_alert_rule('job_backlog', p_severity => ${severity})`;
    await filled(shop, () => shop.job("purge", 20));
    await set("info");
    await evaluated(shop);
    assert.deepEqual(await told(), ["info", 0, "told"]);
    await tx`savepoint open`;
    await set("critical");
    await evaluated(shop);
    await evaluated(shop);
    assert.deepEqual(await told(), ["critical", 1, "tell"], "one that is open becomes critical");

    await tx`rollback to savepoint open`;
    await tx`select public.resolve_alert(id) from public.alerts`;
    await set("critical");
    await evaluated(shop);
    assert.deepEqual(await told(), ["critical", 1, "tell"], "one that opens again is critical");

    await tx`select public.resolve_alert(id) from public.alerts`;
    await set("warning");
    await evaluated(shop);
    assert.equal((await told())[0], "warning", "and one that opens after that is not");
  });
});

Deno.test("signature_failures: what retention removes hides nothing that comes after it", async () => {
  await undone(async (shop) => {
    const { tx } = shop;
    await shop.rejected("invalid_signature", null, 500);
    await evaluated(shop);
    await tx`delete from public.webhook_rejections`;
    await evaluated(shop, 1);
    assert.deepEqual(await openKinds(shop), []);
    await shop.rejected("invalid_signature", null, 3);
    await evaluated(shop, 2);
    assert.deepEqual(await openKinds(shop), ["signature_failures"]);
  });
});

Deno.test("signature_failures: a flood from more addresses than are told apart is strangers', and Stripe's still count", async () => {
  await undone(async (shop) => {
    const { tx } = shop;
    await tx`insert into public.webhook_rejections (reason, source_ip)
      select 'invalid_signature', '2001:db8::'::inet + n from generate_series(1, 10000) n`;
    await evaluated(shop);
    await shop.rejected("invalid_signature", "2001:db8:1::1", 500);
    await evaluated(shop, 1);
    assert.deepEqual(await openKinds(shop), []);
    await shop.rejected("invalid_signature", "3.18.12.63", 3);
    await evaluated(shop, 2);
    assert.deepEqual(await openKinds(shop), ["signature_failures"]);
  });
});

Deno.test("quiet hours, in the shop's time zone and past midnight: nothing opens, and what is still so is told after", async () => {
  await undone(async (shop) => {
    const { tx } = shop;
    await tx`update private.settings set value = '"Asia/Tokyo"' where key = 'shop_time_zone'`;
    const at = async (local: string, open: string[]) => {
      await tx`select public.evaluate_alert_rules(false, ('2031-05-04 ' || ${local})::timestamp at time zone 'Asia/Tokyo')`;
      assert.deepEqual(await openKinds(shop), open, local);
    };
    await filled(shop, () => shop.job("purge", 20));
    for (const hours of ["22:00-07:00", "00:00-07:00"]) {
      await tx`delete from public.alerts`;
      await tx`select public.set_alert_rule('job_backlog', p_quiet_hours => ${hours})`;
      if (hours.startsWith("22")) await at("22:00", []);
      await at("06:59", []);
      await at("07:00", ["job_backlog"]);
    }
    await tx`select public.set_alert_rule('job_backlog', p_quiet_hours => 'none')`;
    await tx`delete from public.alerts`;
    await at("03:00", ["job_backlog"]);
  });
});

Deno.test("set_alert_rule() refuses what does not fit the rule, in words", async () => {
  await undone(async (shop) => {
    const { tx } = shop;
    const set = (args: string) => tx.unsafe(`select public.set_alert_rule(${args})`);
    for (
      const args of [
        "'nothing'",
        "'decline_rate', p_threshold => 1.5",
        "'decline_rate', p_threshold => 0",
        "'order_many_pieces', p_threshold => 2.5",
        "'job_backlog', p_threshold => 5",
        "'refund_spike', p_threshold => 0.5",
        "'refund_spike', p_minimum => 0",
        "'refund_spike', p_window_seconds => 1",
        "'job_backlog', p_window_seconds => 600",
        "'job_backlog', p_severity => 'urgent'",
        "'job_backlog', p_quiet_hours => '7-9'",
        "'job_backlog', p_quiet_hours => '22:00-24:00'",
      ]
    ) assert.equal(await refusal(tx, set(args)), "SHINV", args);
    await tx`savepoint asked`;
    await assert.rejects(
      set("'decline_rate', p_threshold => 20"),
      /decline_rate: threshold must be above 0 and at most 1/,
    );
    await tx`rollback to savepoint asked`;
    assert.equal(await refusal(tx, set("'decline_rate', p_threshold => 0.3")), null);
  });
});
