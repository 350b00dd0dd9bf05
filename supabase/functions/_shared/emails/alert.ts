import { maskText } from "../log.ts";
import type { StoredAlert } from "../rpc.ts";
import { renderBlocks, type Rendered } from "./layout.ts";

/** An alert for staff: what, how bad, since when, with the ids to look it up by. */
export function alertMail(alert: StoredAlert): Rendered {
  const fields = Object.entries(alert.data).map(([key, value]) =>
    `${key}: ${typeof value === "string" ? maskText(value) : JSON.stringify(value)}`
  );
  return renderBlocks(`[${alert.severity}] ${alert.kind}`, [
    `${alert.kind} (${alert.severity}), first seen ${alert.first_at}, seen ${alert.count} times.`,
    { lines: fields },
    "The runbook in docs/operations.md says what to do.",
  ]);
}
