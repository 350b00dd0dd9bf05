import { z } from "zod";
import { managementApi } from "../management_api.ts";
import { error, type Finding, ok, unseen } from "./finding.ts";
import type { Subject } from "./subject.ts";

/** Supabase makes one a day. */
const oldestHours = 48;
const hourMs = 3_600_000;

/** https://supabase.com/docs/reference/api/v1-list-all-backups */
const backups = z.object({
  backups: z.array(z.object({ status: z.string(), inserted_at: z.string() })),
  physical_backup_data: z.object({ latest_physical_backup_date_unix: z.number().nullish() }).nullish(),
});

/** Whether Supabase has a backup of the last two days. Needs SUPABASE_ACCESS_TOKEN, and says so without. */
export async function checkBackups(
  { kind, values, ref }: Pick<Subject, "kind" | "values" | "ref">,
  now: number = Date.now(),
  get: typeof fetch = fetch,
): Promise<Finding[]> {
  if (kind === "local") return [];
  const api = managementApi({ values, ref }, get);
  if (api === null) {
    return [
      unseen("nobody knows whether there are backups", "set SUPABASE_ACCESS_TOKEN, for this task alone"),
    ];
  }
  let answer: z.infer<typeof backups>;
  try {
    answer = backups.parse(await api.read(`/projects/${api.ref}/database/backups`));
  } catch (failure) {
    const reason = failure instanceof Error ? failure.message.split("\n")[0] : "no answer";
    return [unseen(`backups could not be looked at (${reason})`, "look at the dashboard, Database, Backups")];
  }
  const newest = newestOf(answer);
  if (newest !== null && now - newest <= oldestHours * hourMs) {
    return [ok(`the newest backup is ${Math.round((now - newest) / hourMs)} hours old`)];
  }
  return [error(
    "backup_missing",
    newest === null
      ? "Supabase has no backup of this project"
      : `the newest backup is of ${new Date(newest).toISOString().slice(0, 10)}`,
    "see the dashboard, Database, Backups: a plan with daily backups, better point-in-time recovery; or keep your " +
      "own with 'supabase db dump'",
  )];
}

/** When the newest complete backup was made, in milliseconds; null: there is none. */
function newestOf(
  { backups: logical, physical_backup_data: physical }: z.infer<typeof backups>,
): number | null {
  const times = logical.filter(({ status }) => status === "COMPLETED").map(({ inserted_at }) =>
    Date.parse(inserted_at)
  );
  const unix = physical?.latest_physical_backup_date_unix ?? null;
  const known = [...times, ...(unix === null ? [] : [unix * 1000])].filter((time) => !Number.isNaN(time));
  return known.length === 0 ? null : Math.max(...known);
}
