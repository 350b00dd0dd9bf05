/** Whether staff can read the reports over the API. */
import { isExposed } from "../setup/exposed_schemas.ts";
import { error, type Finding, ok, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

/** Asks the API for schema reporting. */
export async function checkExposedSchemas({ env }: Subject): Promise<Finding[]> {
  try {
    return [judgeExposed(await isExposed(env))];
  } catch {
    return [
      error(
        "api_down",
        "the API does not say whether it shows schema reporting",
        "see what is said of the API itself",
      ),
    ];
  }
}

/** What that means for staff. */
export function judgeExposed(exposed: boolean): Finding {
  return exposed ? ok("schema reporting is in the API") : warning(
    "reporting_not_exposed",
    "the API does not show schema reporting: staff can read the reports in the dashboard only",
    "run 'deno task setup', or add it to the exposed schemas (dashboard, Project Settings, Data API)",
  );
}
