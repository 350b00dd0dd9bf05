/** One line of the report: what was done, what should have come of it, and what did. */
export interface Finding {
  step: string;
  expected: string;
  seen: string;
}

/** Collects findings and prints them as a table. */
export class Report {
  readonly #findings: Finding[] = [];

  add(step: string, expected: string, seen: string): void {
    this.#findings.push({ step, expected, seen });
    const mark = expected === seen ? "ok  " : "DIFF";
    console.log(`${mark} ${step}${expected === seen ? "" : `: expected ${expected}, saw ${seen}`}`);
  }

  get differences(): number {
    return this.#findings.filter(({ expected, seen }) => expected !== seen).length;
  }

  print(): void {
    const rows = this.#findings.map(({ step, expected, seen }) => [
      expected === seen ? "ok" : "DIFFERS",
      step,
      expected,
      seen,
    ]);
    const table = [["", "step", "expected", "seen"], ...rows];
    const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => (row[column] ?? "").length)));
    console.log();
    for (const row of table) {
      console.log(row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd());
    }
    const count = this.#findings.length;
    console.log(
      `\n${count} checks, ${this.differences} ${this.differences === 1 ? "difference" : "differences"}`,
    );
  }
}
