import type postgres from "postgres";

/** The clean-up runs once a day; two further days for one that failed. */
const graceDays = 3;

/** For each setting of a period, how many rows are older than it allows. */
export async function keptTooLong(sql: postgres.Sql): Promise<{ what: string; rows: number }[]> {
  const counted = await sql.unsafe<{ what: string; rows: string }[]>(`
    select 'payloads of Stripe''s events (retention_payload_days)' as what, count(*)::text as rows
    from public.webhook_events e
    where e.status in ('processed', 'ignored') and not e.payload ? 'purged' and not e.payload ? 'erased'
      and e.received_at < now() - private.retention('payload') - make_interval(days => ${graceDays})
    union all
    select 'addresses of refused webhooks (retention_log_days)', count(*)::text from public.webhook_rejections r
    where r.last_at < now() - private.retention('log') - make_interval(days => ${graceDays})
    union all
    select 'resolved alerts (retention_alert_days)', count(*)::text from public.alerts a
    where a.status = 'resolved' and a.last_at < now() - private.retention('alert') - make_interval(days => ${graceDays})
  `);
  return counted.map(({ what, rows }) => ({ what, rows: Number(rows) }));
}
