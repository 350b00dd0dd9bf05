/** Figures about the system itself. */
import type { Call } from "./client.ts";

/** A database that has not answered by then is down: monitors give up after five to ten seconds. */
const timeoutMs = 3_000;

export type HealthCalls = ReturnType<typeof healthCalls>;

/** Each check has a `status`, and figures of its own. */
export type HealthFigures = {
  checks: { [name: string]: { [figure: string]: string | number | boolean | null } };
};

export const healthCalls = (call: Call) => ({
  getHealth: () => call.within(() => timeoutMs)("get_health", {}) as Promise<HealthFigures>,
});
