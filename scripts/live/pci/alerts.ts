/** Alerts: that somebody looks. */
import { type Check, emptyResult, noDatabase } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";

const daysMax = 7;

/** No critical alert has waited longer than a week for a person. */
export const alerts: Check = async ({ sql }) => {
  if (sql === null) return noDatabase;
  const result = emptyResult();
  const counts = await sql.unsafe<{ kind: string; severity: string; status: string; count: string }[]>(
    "select kind, severity, status, count(*)::text from public.alerts group by 1, 2, 3 order by 1, 2, 3",
  );
  result.facts.push(
    ...counts.map(({ kind, severity, status, count }) => `${count} ${severity} ${kind}: ${status}`),
  );
  const waiting = await sql.unsafe<{ id: string; kind: string }[]>(
    // One that was resolved and is back was told anew; first_at is when it happened for the first time.
    `select id::text, kind from public.alerts
    where severity = 'critical' and status = 'open'
      and greatest(first_at, told_at) < now() - make_interval(days => ${daysMax}) order by 1`,
  );
  for (const { id, kind } of waiting) {
    result.findings.push({
      where: `alert ${id} (${kind})`,
      what: `critical, and open for more than ${daysMax} days`,
    });
  }
  result.examined.push({
    what: "kinds and states of alerts",
    items: counts.length,
    sha256: await sha256(JSON.stringify(counts)),
    moves: true,
  });
  return result;
};
