/** The error budgets of a week in one message to staff. */
import type { ErrorBudgets } from "../database/notifications.ts";
import type { StaffMessage } from "./alert.ts";
import { languageOf, languages } from "./languages/mod.ts";
import { formatDate } from "./shop.ts";

/** The report in the shop's language; null when nothing was counted in the week. */
export function budgetReport({ week, objectives, shop }: ErrorBudgets): StaffMessage | null {
  const counted = objectives.filter(({ good, bad }) => good + bad > 0);
  if (counted.length === 0) return null;
  const language = languageOf(shop.locale);
  const { budgetReport: t } = languages[language];
  const day = formatDate(`${week}T12:00:00Z`, language, { ...shop, time_zone: "UTC" });
  const share = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 2 });
  const facts = counted.map(({ name, target, good, bad, bad_in_budget, budget }) => ({
    name: t.objectives[name] ?? name,
    // Rounded down: what was missed by a hair was missed.
    value: t.figures(
      share.format(Math.floor(good / (good + bad) * 10_000) / 10_000),
      share.format(target),
      bad,
      share.format(Math.round(bad_in_budget / budget * 100) / 100),
    ),
  }));
  const overdrawn = counted.some(({ bad_in_budget, budget }) => bad_in_budget > budget);
  const subject = t.subject(shop.name, day);
  const paragraphs = [overdrawn ? t.overdrawn : t.kept];
  return {
    content: { subject, preheader: paragraphs[0] ?? "", heading: t.heading(day), paragraphs, facts },
    links: [],
  };
}
