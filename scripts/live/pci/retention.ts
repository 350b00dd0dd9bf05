/** How long data is kept, and that what is too old has gone. */
import { type Check, emptyResult, noDatabase, sha256 } from "./check.ts";

/** The clean-up runs once a day; two further days for one that failed. */
const graceDays = 3;

/** Periods as they are set, and the oldest of what each setting ends. */
export const retention: Check = async ({ sql }) => {
  if (sql === null) return noDatabase;
  const result = emptyResult();
  const periods = await sql.unsafe<{ data: string; kept: string; reason: string }[]>(
    "select data, kept, reason from private.retention_periods order by data",
  );
  result.facts.push(...periods.map(({ data, kept, reason }) => `${data}: ${kept}, for ${reason}`));
  const late = await sql.unsafe<{ what: string; rows: string }[]>(`
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
  for (const { what, rows } of late) {
    if (rows === "0") result.facts.push(`none too old: ${what}`);
    else {result.findings.push({
        where: what,
        what: `${rows} rows are kept too long: see that the job purge runs`,
      });}
  }
  result.examined.push({
    what: "periods of retention",
    items: periods.length,
    sha256: await sha256(periods.map(({ data, kept }) => `${data}: ${kept}`).join("\n")),
    moves: false,
  });
  return result;
};
