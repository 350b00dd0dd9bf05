/** The rules that a checkout does not measure could not have hit: over random histories, rules and shoppers. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { checkout, decline, pay, world } from "./velocity_support.ts";

const emails = ["a@example.com", "b@example.com", "c@mailinator.com", "d@mail.yopmail.com", null];
const addresses = ["203.0.113.7", "2001:db8:1:1::1", "2001:db8:1:2::1", "192.0.2.1"];
const carts = [
  [{ sku: "TIE", quantity: 1 }],
  [{ sku: "TIE", quantity: 9 }, { sku: "SUIT", quantity: 1 }],
];

function pick<T>(from: readonly T[], at: number): T {
  const value = from[at];
  if (value === undefined) throw new Error(`there is no ${at}`);
  return value;
}

/**
 * Every measure of every subject, with limits that are met and limits that are missed. Bound and measure each read the
 * clock, so nothing may leave the shorter window while the test runs: what is not of now is 40 minutes old.
 */
async function everyRule(sql: postgres.Sql): Promise<void> {
  await sql`delete from private.velocity_rules`;
  await sql`
    insert into private.velocity_rules (
      name, subject, measure, window_seconds, threshold, baseline_share, min_pieces, currency, action, description
    )
    select concat_ws('_', s, m, w, t), s, m, w, t, case when w = 600 and m in ('declined_orders', 'outages') then 0.2 end,
      case when m = 'held_share' and w = 600 then 5 end, case when m = 'amount' then (array['usd', 'eur'])[1 + t % 2] end,
      'allow', 'test'
    from unnest(array['address', 'email', 'user', 'order', 'shop']) s,
      unnest(array[
        'unpaid_checkouts', 'declines', 'declined_orders', 'cards', 'emails', 'amount', 'disposable_email',
        'held_pieces', 'held_share'
      ]) m,
      unnest(array[600, 86400]) w, unnest(array[1, 3, 10, 2000]) t
    where m not in ('held_pieces', 'held_share') or s <> 'order'`;
}

/** Orders of the past days: left open, paid, refused once or several times. */
async function history(sql: postgres.Sql, userId: string): Promise<void> {
  for (let at = 0; at < 60; at++) {
    const begun = await checkout(sql, {
      ip: pick(addresses, at % 3),
      email: pick(emails, (at * 3) % 5),
      ...(at % 6 === 0 ? { userId } : {}),
      cart: pick(carts, at % 2),
    });
    if (at % 5 === 1) await pay(sql, begun, `card-${at % 7}`, at % 10 === 1 ? "succeeded" : "failed");
    for (let refused = 0; refused < at % 4; refused++) await decline(sql, begun, `card-${at + refused}`);
    // Opened days ago, and refused or still open today.
    if (at % 7 === 3) {
      await sql`
        update public.orders set created_at = created_at - make_interval(days => ${1 + 2 * (at % 2)})
        where id = ${begun.order_id}`;
    }
    if (at % 3 === 0) {
      await sql`update public.orders set created_at = created_at - interval '40 minutes'`;
      await sql`update public.payment_attempts set created_at = created_at - interval '40 minutes'`;
    }
  }
}

/** A bank debit takes days, and holds its goods all the while. */
async function oldDebit(sql: postgres.Sql, email: string): Promise<void> {
  const begun = await checkout(sql, { ip: "198.51.100.50", email, cart: pick(carts, 1) });
  await sql`update public.orders set created_at = created_at - interval '3 days' where id = ${begun.order_id}`;
}

/** A page that was opened yesterday, refused today and then paid: its order is older than any window. */
async function paidLate(sql: postgres.Sql, email: string): Promise<void> {
  const begun = await checkout(sql, { ip: "198.51.100.60", email, cart: pick(carts, 0) });
  for (let refused = 0; refused < 3; refused++) await decline(sql, begun, `late-card-${refused}`);
  await pay(sql, begun, "late-card", "succeeded");
  await sql`update public.orders set created_at = created_at - interval '36 hours' where id = ${begun.order_id}`;
}

Deno.test("a rule that checkout leaves unmeasured could not have hit", async () => {
  await using database = await world();
  const { sql } = database;
  const [user] = await sql<{ id: string }[]>`
    insert into auth.users (id, email) values (gen_random_uuid(), 'u@example.com') returning id`;
  const userId = user?.id ?? assert.fail();
  await sql`update private.velocity_rules set enabled = false`;
  await history(sql, userId);
  await oldDebit(sql, "debit@example.com");
  await paidLate(sql, "late@example.com");
  await everyRule(sql);
  const [existing] = await sql<{ id: string }[]>`select id from public.orders order by created_at limit 1`;

  let hits = 0;
  let spared = 0;
  for (const email of [...emails.slice(1), "debit@example.com", "late@example.com"]) {
    for (const ip of addresses) {
      for (const [user, order] of [[null, null], [userId, null], [null, existing?.id ?? null]] as const) {
        const cart = pick(carts, (hits + spared) % 2);
        const [row] = await sql<{ hits: number; spared: number; hidden: string[] }[]>`
          with cart as (
            select private.price_lines(
              (select jsonb_agg(jsonb_build_object('variant_id', v.id, 'sku', v.sku, 'quantity', l.quantity))
                from jsonb_to_recordset(${sql.json(cart)}) as l (sku text, quantity integer)
                join public.product_variants v on v.sku = l.sku)
            ) as cart
          ), measured as (
            select r.name, k.key, private.measure_velocity(
              r, k.key, (cart ->> 'amount')::bigint, cart ->> 'currency', false, clock_timestamp(), ${order},
              cart -> 'lines', k.factor
            ) is not null as hit
            from cart, private.velocity_keys(${user}, private.email_key(${email}), ${ip}, ${order}) k
            join private.velocity_rules r on r.subject = k.subject and r.measure = coalesce(k.measure, r.measure)
          ), bounded as (
            select (b.rule).name, b.key
            from cart, private.rules_that_may_hit(
              ${user}, private.email_key(${email}), ${ip}, cart, false, ${order}
            ) b
          )
          select count(*) filter (where m.hit)::integer as hits, count(*) filter (where b.name is null)::integer as spared,
            coalesce(array_agg(m.name) filter (where m.hit and b.name is null), '{}') as hidden
          from measured m left join bounded b on b.name = m.name and b.key = m.key`;
        assert.deepEqual(row?.hidden, [], JSON.stringify({ email, ip, user, order, cart }));
        hits += row?.hits ?? 0;
        spared += row?.spared ?? 0;
      }
    }
  }
  assert.ok(hits > 1_000 && spared > 1_000, `${hits} hits, ${spared} not measured`);
});
