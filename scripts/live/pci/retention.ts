/** How long data is kept, and that what is too old has gone. */
import { keptTooLong } from "../kept_too_long.ts";
import { type Check, emptyResult, noDatabase } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";

/** Periods as they are set, and the oldest of what each setting ends. */
export const retention: Check = async ({ sql }) => {
  if (sql === null) return noDatabase;
  const result = emptyResult();
  const periods = await sql.unsafe<{ data: string; kept: string; reason: string }[]>(
    "select data, kept, reason from private.retention_periods order by data",
  );
  result.facts.push(...periods.map(({ data, kept, reason }) => `${data}: ${kept}, for ${reason}`));
  for (const { what, rows } of await keptTooLong(sql)) {
    if (rows === 0) result.facts.push(`none too old: ${what}`);
    else {
      result.findings.push({
        where: what,
        what: `${rows} rows are kept too long: see that the job purge runs`,
      });
    }
  }
  result.examined.push({
    what: "periods of retention",
    items: periods.length,
    sha256: await sha256(periods.map(({ data, kept }) => `${data}: ${kept}`).join("\n")),
    moves: false,
  });
  return result;
};
