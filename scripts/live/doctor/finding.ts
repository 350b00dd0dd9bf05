import type { FindingName } from "./finding_names.ts";

/** One line of the doctor's report. */
export interface Finding {
  level: "ok" | "warning" | "error";
  /** What it is called in docs/doctor.md; null where all is well. */
  name: FindingName | null;
  what: string;
  /** What to do about it; empty when all is well. */
  fix: string;
  /** It could not be looked at: nobody knows whether all is well. */
  unseen?: true;
}

export function ok(what: string): Finding {
  return { level: "ok", name: null, what, fix: "" };
}

/** Works, but not as it should. */
export function warning(name: FindingName, what: string, fix: string): Finding {
  return { level: "warning", name, what, fix };
}

/** Could not be looked at. */
export function unseen(what: string, fix: string): Finding {
  return { ...warning("not_seen", what, fix), unseen: true };
}

/** Orders, money or mail suffer. */
export function error(name: FindingName, what: string, fix: string): Finding {
  return { level: "error", name, what, fix };
}
