/** One line of the doctor's report. */
export interface Finding {
  level: "ok" | "warning" | "error";
  what: string;
  /** What to do about it; empty when all is well. */
  mend: string;
}

export function ok(what: string): Finding {
  return { level: "ok", what, mend: "" };
}

/** Works, but not as it should. */
export function warning(what: string, mend: string): Finding {
  return { level: "warning", what, mend };
}

/** Orders, money or mail suffer. */
export function error(what: string, mend: string): Finding {
  return { level: "error", what, mend };
}
