// cspell:disable -- names that are hard to lay out are in no dictionary
/** One sample of every mail, for looking at them: every template, and what staff get. */
import { alertMessage, staffMail } from "../../supabase/functions/_shared/mails/alert.ts";
import type { Rendered } from "../../supabase/functions/_shared/mails/content.ts";
import { renderMail, templateNames } from "../../supabase/functions/_shared/mails/mod.ts";
import type {
  Notification,
  NotificationOrder,
} from "../../supabase/functions/_shared/database/notifications.ts";
import { budgetReport } from "../../supabase/functions/_shared/mails/budget_report.ts";
import { digestMessage } from "../../supabase/functions/_shared/mails/digest.ts";
import { alertOf, incidentOf, notificationOf, shop } from "./mail_fixture.ts";

/** A picture that needs no network: a coloured square with the proportions of a product's. */
const picture = (color: string) => `/images/sample.png?color=${color}`;

const sample: NotificationOrder = {
  ...notificationOf("order_confirmation").order,
  customer_name: "Ada Turner",
  shipping_name: "Ada Turner",
  shipping_address: {
    line1: "Hauptstraße 5",
    line2: null,
    city: "Berlin",
    state: null,
    postal_code: "10115",
    country: "DE",
  },
  billing_address: {
    line1: "48 Alder Street",
    line2: "Apt. 4",
    city: "Portland",
    state: "OR",
    postal_code: "97205",
    country: "US",
  },
  card: { brand: "visa", last4: "4242" },
  decline: {
    failure_code: "card_declined",
    decline_code: "insufficient_funds",
    advice_code: null,
    method: "card",
  },
  shipping_method: "Standard",
  currency: "eur",
  amount_subtotal: 90_700,
  amount_discount: 9_070,
  amount_shipping: 590,
  amount_tax: 13_128,
  amount_total: 82_220,
  amount_paid: 82_220,
  presentment: { amount: 71_480, currency: "gbp" },
  items: [
    {
      sku: "SUIT",
      name: "Two-Piece Wool Suit – Navy, 40R",
      quantity: 1,
      unit_amount: 64_900,
      image_url: picture("navy"),
    },
    {
      sku: "SHIRT",
      name: "Oxford Button-Down Shirt – White, M",
      quantity: 2,
      unit_amount: 12_900,
      image_url: picture("white"),
    },
  ],
};

const data: Record<string, Notification["data"]> = {
  order_shipped: {
    carrier: "DHL",
    tracking_number: "00340434161094042557",
    tracking_url: "https://www.dhl.com/global-en/home/tracking.html?tracking-id=00340434161094042557",
    part: true,
    more_to_come: true,
    items: [{ name: "Oxford shirt – White, M", quantity: 1 }],
  },
  refund_issued: {
    amount: 12_900,
    presentment: { amount: 11_215, currency: "gbp" },
    items: [{ name: "Oxford shirt – White, M", quantity: 1 }],
  },
  refund_settled: { amount: 12_900 },
  refund_failed: { amount: 12_900 },
};

/** Links of these samples. */
const links = {
  siteUrl: "https://shop.example",
  resumeUrl: "https://shop.example/resume?token=sample",
  orderToken: "sample",
  unsubscribeUrl: null,
};
/** Mails that ask to buy, as private.is_reminder() says. */
const reminders = ["payment_declined", "payment_reminder"];
const unsubscribeUrl = "https://shop.example/unsubscribe?token=sample";

/** What is hard to lay out: long words, right-to-left names, many lines, no pictures, three decimals. */
function odd(locale: string): Record<string, Rendered> {
  const arabic = "أحمد بن عبد الله";
  const items = Array.from({ length: 12 }, (_, index) => ({
    sku: `S${index}`,
    name: index % 2 === 0
      ? "Donaudampfschifffahrtsgesellschaftskapitänsmütze".repeat(2)
      : `قميص قطني – أبيض, ${index}`,
    quantity: 99,
    unit_amount: 99_999_990,
    image_url: null,
  }));
  return {
    odd_confirmation: renderMail(
      notificationOf("order_confirmation", {
        ...sample,
        locale,
        currency: "kwd",
        customer_name: arabic,
        shipping_name: "Wolfeschlegelsteinhausenbergerdorffwelchevoralternwaren",
        items,
        amount_discount: 0,
        amount_shipping: 0,
        amount_subtotal: 118_799_988_120,
        amount_total: 118_799_988_120,
      }),
      links,
    ),
  };
}

/** A busy day, as staff are told of it. */
function digestSample(locale: string): Record<string, Rendered> {
  const localShop = { ...shop, locale };
  const message = digestMessage({
    day: "2026-11-09",
    sales: [{ currency: "eur", count: 12, amount: 412_300 }, { currency: "usd", count: 3, amount: 64_900 }],
    refunds: [{ currency: "eur", count: 1, amount: 12_900 }],
    to_ship: 7,
    attention: { dispute_open: 1, refund_delayed: 2 },
    disputes: [{
      order_number: "T-100001",
      amount: 82_220,
      currency: "eur",
      evidence_due_by: "2026-11-16T22:59:59Z",
    }],
    alerts: { dispute_opened: 1, refund_delayed: 2 },
    mails_failed: 1,
    shop: localShop,
  });
  return message === null ? {} : { digest: staffMail(message, localShop, links.siteUrl) };
}

/** A week with one objective overdrawn, as staff are told of it. */
function budgetSample(locale: string): Record<string, Rendered> {
  const localShop = { ...shop, locale };
  const message = budgetReport({
    week: "2026-11-09",
    objectives: [
      { name: "checkout", target: 0.995, good: 1_990, bad: 10, bad_in_budget: 12, budget: 40 },
      { name: "mail", target: 0.99, good: 950, bad: 50, bad_in_budget: 60, budget: 40 },
      { name: "stock", target: 0.999, good: 0, bad: 0, bad_in_budget: 0, budget: 0 },
    ],
    shop: localShop,
  });
  return message === null ? {} : { budget_report: staffMail(message, localShop, links.siteUrl) };
}

/** Every mail in a language, by name. */
export function mailSamples(locale: string): Record<string, Rendered> {
  const mails = templateNames.map((template): [string, Rendered] => [
    template,
    renderMail(
      notificationOf(template, { ...sample, locale }, { data: data[template] ?? {} }),
      reminders.includes(template) ? { ...links, unsubscribeUrl } : links,
    ),
  ]);
  const incident = {
    ...incidentOf([
      {
        ...alertOf({
          order_number: "T-100001",
          dispute_id: "du_1",
          amount: 82_220,
          currency: "eur",
          reason: "fraudulent",
        }),
        kind: "dispute_opened",
      },
    ]),
    shop: { ...shop, locale },
  };
  const to = { siteUrl: links.siteUrl, livemode: false };
  const alert = staffMail(alertMessage(incident, to), incident.shop, links.siteUrl);
  return {
    ...Object.fromEntries(mails),
    alert,
    ...digestSample(locale),
    ...budgetSample(locale),
    ...odd(locale),
  };
}
