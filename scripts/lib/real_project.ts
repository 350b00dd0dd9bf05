/** What keeps the offline stack and a real project apart. */
import { isLoopback } from "../../supabase/functions/_shared/http/loopback.ts";
import { StackError } from "./errors.ts";

/**
 * The variables that say which Supabase project the functions work on, and let them in. Those of a stack are always its
 * own: functions that took them from a shell would work on the project that somebody exported there.
 */
export const PROJECT_VARIABLES: readonly string[] = [
  "SUPABASE_URL",
  "SUPABASE_PUBLISHABLE_KEYS",
  "SUPABASE_SECRET_KEYS",
];

/**
 * Refuses an environment that names a project which is not on this machine, or carries secret keys of one unnamed.
 * Setup, doctor, redrive and reconcile want these variables; whoever has them in the shell may mean that project, and
 * nothing offline shall leave them in doubt about where their orders and mails went.
 * @throws StackError that says why.
 */
export function refuseRealProject(given: Record<string, string>): void {
  const url = given["SUPABASE_URL"]?.trim() ?? "";
  const keys = given["SUPABASE_SECRET_KEYS"]?.trim() ?? "";
  const found = url === ""
    ? keys === "" ? null : "SUPABASE_SECRET_KEYS is set, so this shell is for a real project"
    : isLoopback(url)
    ? null
    : `SUPABASE_URL names a project that is not on this machine${hostOf(url)}`;
  if (found === null) return;
  throw new StackError(
    `${found}, and this works offline only: unset SUPABASE_URL and SUPABASE_SECRET_KEYS, or use another shell`,
  );
}

function hostOf(url: string): string {
  const host = URL.parse(url)?.host ?? "";
  return host === "" ? "" : ` (${host})`;
}
