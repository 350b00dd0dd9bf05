/** That nothing is publicly known against a package of the lock file. */
import { type Advisories, readAdvisories } from "../../lib/advisories.ts";
import { judged, type Step, type StepResult } from "./step.ts";

/** Asks the registry. Where it does not answer, the step says so, and fails only where an answer can be had. */
export const advisories: Step = {
  name: "advisories",
  async run({ root }) {
    return judgeAdvisories(await readAdvisories(root), Deno.env.get("GITHUB_ACTIONS") === "true");
  },
};

/** @param answered whether the registry answers where this runs. */
export function judgeAdvisories({ found, unreachable, said }: Advisories, answered: boolean): StepResult {
  if (unreachable !== null) {
    return answered ? judged([unreachable]) : judged([], `not asked: ${unreachable}`);
  }
  return judged(
    found.map(({ name, severity }) =>
      `${name} has an advisory (${severity}): read 'deno audit', take another`
    ),
    said,
  );
}
