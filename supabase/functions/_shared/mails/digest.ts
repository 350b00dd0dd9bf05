/** The day in one message to staff. */
import type { Digest } from "../database/notifications.ts";
import { formatMoney } from "../stripe/money.ts";
import type { StaffMessage } from "./alert.ts";
import type { Fact } from "./content.ts";
import { languageOf, languages } from "./languages/mod.ts";
import { formatDate } from "./shop.ts";

/** The digest in the shop's language; null when there is nothing to say. */
export function digestMessage(digest: Digest): StaffMessage | null {
  const { shop } = digest;
  const language = languageOf(shop.locale);
  const { digest: t } = languages[language];
  const day = formatDate(`${digest.day}T12:00:00Z`, language, { ...shop, time_zone: "UTC" });
  const sums = (rows: Digest["sales"]) =>
    rows.map(({ currency, count, amount }) => `${count} (${formatMoney(amount, currency, language)})`).join(
      ", ",
    );
  const counts = (found: Record<string, number>) =>
    Object.entries(found).map(([name, count]) => `${name} (${count})`).sort().join(", ");
  const facts: Fact[] = [
    { name: t.sales, value: sums(digest.sales) },
    { name: t.refunds, value: sums(digest.refunds) },
    { name: t.toShip, value: digest.to_ship === 0 ? "" : `${digest.to_ship}` },
    { name: t.attention, value: counts(digest.attention) },
    {
      name: t.disputes,
      value: digest.disputes.map(({ order_number, amount, currency, evidence_due_by }) =>
        `${order_number ?? "–"} (${formatMoney(amount, currency, language)}, ${
          formatDate(evidence_due_by, language, shop)
        })`
      ).join(", "),
    },
    { name: t.alerts, value: counts(digest.alerts) },
    { name: t.mailsFailed, value: digest.mails_failed === 0 ? "" : `${digest.mails_failed}` },
  ].filter(({ value }) => value !== "");
  if (facts.length === 0) return null;
  const subject = t.subject(shop.name, day);
  return { content: { subject, preheader: t.told, heading: day, paragraphs: [t.told], facts }, links: [] };
}
