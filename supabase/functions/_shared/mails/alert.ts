/** What staff are sent: alerts as they come, and the day's digest. */
import type { AlertMessage, StoredAlert } from "../database/notifications.ts";
import { maskText } from "../log.ts";
import { formatMoney } from "../stripe/money.ts";
import { oneLine } from "../text/outside_text.ts";
import { webAddress } from "../text/web_address.ts";
import type { Content, Fact, Link, Rendered } from "./content.ts";
import { languageOf, languages, type Texts } from "./languages/mod.ts";
import { render } from "./render.ts";

/** Longer texts are read where the alert points to. */
const fieldMax = 1_000;

/** Where links of a message lead to. */
export interface StaffLinks {
  /** Without a trailing slash. */
  siteUrl: string;
  livemode: boolean;
}

/** A message to staff; `links` are all of its links, of which a mail shows the first as its button. */
export interface StaffMessage {
  content: Content;
  links: Link[];
}

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

/** "Refund failed" of `refund_failed`. */
function titleOf(kind: string): string {
  return kind.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
}

/** An incident in the shop's language: what, how bad, how often, since when, and the ids to look it up by. */
export function alertMessage(message: AlertMessage, to: StaffLinks): StaffMessage {
  const { shop, kind, severity, alerts, over } = message;
  const texts = languages[languageOf(shop.locale)];
  const { alert: t } = texts;
  const many = message.alert_ids.length;
  const told = over
    ? t.over(kind, many, message.first_at, message.last_at)
    : t.seen(kind, severity, message.first_at, message.count);
  const what = t.kinds[kind];
  const links = many === 1 && alerts[0] !== undefined
    ? [...orderLink(alerts[0], message, to, texts), ...stripeLink(alerts[0], to, texts)]
    : [];
  const title = `${many > 1 ? `${many} × ` : ""}${titleOf(kind)}`;
  return {
    content: {
      subject: over ? `[${t.overTag}] ${title}` : `[${severity}] ${title}`,
      preheader: what ?? told,
      heading: title,
      paragraphs: what === undefined || over ? [told] : [what, told],
      facts: over ? [] : many === 1 ? alerts.flatMap(facts) : listed(message, texts),
    },
    links: [...links, ...runbookLink(message, to, texts)],
  };
}

/** One line for each of the latest alerts, and how many more there are. */
function listed({ alerts, alert_ids }: AlertMessage, { alert: t }: Texts): Fact[] {
  const more = alert_ids.length - alerts.length;
  return [
    ...alerts.map((alert) => ({
      name: typeof alert.data["order_number"] === "string" ? alert.data["order_number"] : alert.last_at,
      value: oneLine(alertFields(alert).join(", "), fieldMax),
    })),
    ...(more > 0 ? [{ name: "…", value: t.more(more) }] : []),
  ];
}

/** The order where staff look at it, if the shop has set where that is. */
function orderLink(
  { data }: StoredAlert,
  { shop }: AlertMessage,
  { siteUrl }: StaffLinks,
  { alert: t }: Texts,
): Link[] {
  const number = data["order_number"];
  if (typeof number !== "string") return [];
  return linkTo(
    t.openOrder,
    shop.admin_order_url?.replaceAll("{number}", encodeURIComponent(number)),
    siteUrl,
  );
}

/** Stripe's dashboard on what the alert is about, if it names something that has a page there. */
function stripeLink({ data }: StoredAlert, { livemode }: StaffLinks, { alert: t }: Texts): Link[] {
  const pages: [page: string, id: unknown][] = [
    ["disputes", data["dispute_id"]],
    ["payments", data["payment_id"]],
  ];
  const found = pages.find(([, id]) => typeof id === "string" && /^[a-z]+_\w+$/.test(id));
  if (found === undefined) return [];
  const base = `https://dashboard.stripe.com/${livemode ? "" : "test/"}`;
  return [{ label: t.openInStripe, url: `${base}${found[0]}/${found[1]}` }];
}

function runbookLink({ shop, kind }: AlertMessage, { siteUrl }: StaffLinks, { alert: t }: Texts): Link[] {
  return linkTo(
    t.openRunbook,
    shop.runbook_url === null ? undefined : `${shop.runbook_url}#${kind}`,
    siteUrl,
  );
}

function linkTo(label: string, address: string | undefined, siteUrl: string): Link[] {
  const url = webAddress(address ?? null, siteUrl);
  return url === null ? [] : [{ label, url }];
}

/** A message to staff as a mail. */
export function staffMail(
  { content, links }: StaffMessage,
  shop: AlertMessage["shop"],
  siteUrl: string,
): Rendered {
  const language = languageOf(shop.locale);
  const [button = null, ...rest] = links;
  const closing = [...(content.closing ?? []), ...rest.map(({ label, url }) => `${label}: ${url}`)];
  return render({ ...content, button, closing }, {
    shop,
    language,
    texts: languages[language],
    siteUrl,
    unsubscribeUrl: null,
    forStaff: true,
  });
}
