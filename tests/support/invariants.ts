import assert from "node:assert/strict";
import type postgres from "postgres";

/**
 * Fails unless everything that must always be true is: no row from `check_invariants()`, and settling every order
 * once more changes no order, no stock and queues no effect. Run it at the end of a test that has sold something.
 */
export async function assertInvariants(sql: postgres.Sql): Promise<void> {
  assert.deepEqual([...await sql`select * from public.check_invariants()`], []);
  const connection = await sql.reserve();
  try {
    await connection`begin`;
    const before = await effects(connection);
    await connection`select private.settle_order(id, 'test') from public.orders order by id`;
    assert.deepEqual(await effects(connection), before, "settling again changes something");
  } finally {
    await connection`rollback`;
    connection.release();
  }
}

async function effects(sql: postgres.ReservedSql): Promise<unknown> {
  const [row] = await sql`select
    (select jsonb_agg(to_jsonb(o) - '{updated_at}'::text[] order by o.id) from public.orders o) as orders,
    (select jsonb_agg(jsonb_build_array(r.id, r.status) order by r.id) from public.inventory_reservations r) as reservations,
    (select jsonb_agg(jsonb_build_array(l.variant_id, l.on_hand, l.reserved, l.committed) order by l.variant_id)
      from public.inventory_levels l) as stock,
    (select jsonb_agg(j.dedupe_key order by j.dedupe_key) from private.jobs j) as jobs,
    (select jsonb_agg(a.dedupe_key || ' ' || a.count order by a.dedupe_key) from public.alerts a) as alerts,
    (select count(*)::int from public.notifications) as notifications,
    (select count(*)::int from public.order_events) as audit`;
  return row;
}
