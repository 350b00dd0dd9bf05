/** One line of the doctor's report. */
export interface Finding {
  level: "ok" | "warning" | "error";
  what: string;
  /** What to do about it; empty when all is well. */
  fix: string;
}

export function ok(what: string): Finding {
  return { level: "ok", what, fix: "" };
}

/** Works, but not as it should. */
export function warning(what: string, fix: string): Finding {
  return { level: "warning", what, fix };
}

/** Orders, money or mail suffer. */
export function error(what: string, fix: string): Finding {
  return { level: "error", what, fix };
}
