/** Rotations of secrets that somebody has begun and not brought to an end (docs/rotation.md). */
import { itemsOf } from "../rotate/rotation.ts";
import { type Progress, readProgress, underWay } from "../rotate/progress.ts";
import { rotations } from "../rotate/registry.ts";
import { SetupError } from "../setup/project.ts";
import { type Finding, ok, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

const dayMs = 86_400_000;

/** What the env file says of them; `now` in epoch milliseconds. */
export function checkRotations({ values }: Pick<Subject, "values">, now = Date.now()): Finding[] {
  const begun = underWay(values);
  const findings = begun.flatMap((variable) => underWayFor(variable, values, now));
  // Two values and nobody who remembers since when: one was put there by hand, and forgotten or still needed.
  const forgotten = rotations.filter(({ variable, shape }) =>
    !begun.includes(variable) && itemsOf(values[variable] ?? "").length > 1 &&
    shape.problem(values[variable] ?? "") !== null
  );
  const all = [
    ...findings,
    ...forgotten.map(({ variable }) =>
      warning(
        "secret_doubled",
        `${variable} holds several values`,
        "take out those that nobody uses any more (docs/rotation.md)",
      )
    ),
  ];
  return all.length > 0 ? all : [ok("no secret is half rotated")];
}

function underWayFor(variable: string, values: Record<string, string>, now: number): Finding[] {
  let progress: Progress | null;
  try {
    progress = readProgress(values, variable);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return [warning("rotation_stuck", `the line of ${variable}'s rotation cannot be read`, error.message)];
  }
  const rotation = rotations.find((known) => known.variable === variable);
  if (progress === null || rotation === undefined) {
    return [
      warning("rotation_stuck", `ROTATION_${variable} is about nothing that is rotated`, "remove the line"),
    ];
  }
  const days = Math.floor((now - progress.at) / dayMs);
  const waits = progress.stage === "used" && now < progress.at + rotation.finishAfterMs;
  if (waits) return [ok(`${variable} is being rotated: the old one is accepted until its time is over`)];
  const step = progress.stage === "used" || progress.stage === "ending" ? " --finish" : "";
  return [warning(
    "rotation_stuck",
    `the rotation of ${variable} has stood still for ${days} days`,
    `deno task rotate ${variable}${step}`,
  )];
}
