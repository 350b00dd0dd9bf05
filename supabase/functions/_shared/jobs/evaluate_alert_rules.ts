/** Measures the alert rules: every minute, for the mode of the key that this deployment has. */
import { done, type JobHandler } from "./outcome.ts";

/** Payload: none. */
export const evaluateAlertRules: JobHandler = async (_job, { rpc, env, log }) => {
  const failed = await rpc.evaluateAlertRules(env.livemode);
  if (failed > 0) log.error("alert_rules_failed", { count: failed });
  return done;
};
