/** Figures about the system itself. */
import type { Call } from "./client.ts";

export type HealthCalls = ReturnType<typeof healthCalls>;

/** Each check has a `status`, and figures of its own. */
export type HealthFigures = {
  checks: { [name: string]: { [figure: string]: string | number | boolean | null } };
};

export const healthCalls = (call: Call) => ({
  getHealth: () => call("get_health", {}) as Promise<HealthFigures>,
});
