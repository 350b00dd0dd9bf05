import { maskText } from "../log.ts";
import { formatMoney } from "../stripe/money.ts";
import { oneLine } from "../text/outside_text.ts";
import type { StoredAlert } from "../database/notifications.ts";
import { renderBlocks, type Rendered } from "./layout.ts";

/** Longer texts are read where the alert points to. */
const fieldMax = 1_000;

/** What an alert says, one `name: value` each; amounts as money, texts masked. */
export function alertFields({ data }: StoredAlert): string[] {
  const currency = typeof data["currency"] === "string" ? data["currency"] : null;
  return Object.entries(data).map(([key, value]) => {
    const money = /^amount(_|$)/.test(key) && typeof value === "number" && currency !== null;
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return `${oneLine(key)}: ${money ? formatMoney(value, currency) : oneLine(maskText(text), fieldMax)}`;
  });
}

/** An alert for staff: what, how bad, since when, with the ids to look it up by. */
export function alertMail(alert: StoredAlert): Rendered {
  return renderBlocks(`[${alert.severity}] ${alert.kind}`, [
    `${alert.kind} (${alert.severity}), first seen ${alert.first_at}, seen ${alert.count} times.`,
    { lines: alertFields(alert) },
    "The runbook in docs/operations.md says what to do.",
  ]);
}
