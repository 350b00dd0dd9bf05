import type { StoredAlert } from "../database/notifications.ts";
import { maskText } from "../log.ts";
import { formatMoney } from "../stripe/money.ts";
import { oneLine } from "../text/outside_text.ts";
import type { Fact, Link, Rendered } from "./content.ts";
import { languageOf, languages, type Texts } from "./languages/mod.ts";
import { render } from "./render.ts";

/** Longer texts are read where the alert points to. */
const fieldMax = 1_000;

function facts({ data }: StoredAlert): Fact[] {
  const currency = typeof data["currency"] === "string" ? data["currency"] : null;
  return Object.entries(data).map(([key, value]) => {
    const money = /^amount(_|$)/.test(key) && typeof value === "number" && currency !== null;
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return {
      name: oneLine(key),
      value: money ? formatMoney(value, currency) : oneLine(maskText(text), fieldMax),
    };
  });
}

/** What an alert says, one `name: value` each; amounts as money, texts masked. */
export function alertFields(alert: StoredAlert): string[] {
  return facts(alert).map(({ name, value }) => `${name}: ${value}`);
}

/** An alert for staff, in the shop's language: what, how bad, since when, with the ids to look it up by. */
export function alertMail(alert: StoredAlert, siteUrl: string, livemode: boolean): Rendered {
  const { shop, kind, severity } = alert;
  const language = languageOf(shop.locale);
  const texts = languages[language];
  const { alert: t } = texts;
  const what = t.kinds[kind];
  const seen = t.seen(kind, severity, alert.first_at, alert.count);
  return render({
    subject: `[${severity}] ${kind}`,
    preheader: what ?? seen,
    heading: kind.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase()),
    paragraphs: [...(what === undefined ? [] : [what]), seen],
    button: stripeButton(alert, texts, livemode),
    facts: facts(alert),
    closing: [t.runbook],
  }, { shop, language, texts, siteUrl, forStaff: true });
}

/** Stripe's dashboard on what the alert is about; null when it names nothing that has a page there. */
function stripeButton({ data }: StoredAlert, { alert: t }: Texts, livemode: boolean): Link | null {
  const pages: [page: string, id: unknown][] = [
    ["disputes", data["dispute_id"]],
    ["payments", data["payment_id"]],
  ];
  const found = pages.find(([, id]) => typeof id === "string" && /^[a-z]+_\w+$/.test(id));
  if (found === undefined) return null;
  const base = `https://dashboard.stripe.com/${livemode ? "" : "test/"}`;
  return { label: t.openInStripe, url: `${base}${found[0]}/${found[1]}` };
}
