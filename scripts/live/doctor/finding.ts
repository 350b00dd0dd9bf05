/** One line of the doctor's report. */
export interface Finding {
  level: "ok" | "warning" | "error";
  what: string;
  /** What to do about it; empty when all is well. */
  fix: string;
  /** It could not be looked at: nobody knows whether all is well. */
  unseen?: true;
}

export function ok(what: string): Finding {
  return { level: "ok", what, fix: "" };
}

/** Works, but not as it should. */
export function warning(what: string, fix: string): Finding {
  return { level: "warning", what, fix };
}

/** Could not be looked at. */
export function unseen(what: string, fix: string): Finding {
  return { ...warning(what, fix), unseen: true };
}

/** Orders, money or mail suffer. */
export function error(what: string, fix: string): Finding {
  return { level: "error", what, fix };
}
