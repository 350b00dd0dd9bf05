/** Mails to customers, and alerts to staff. */
import type { Address, Business } from "../stripe_events/facts.ts";
import type { Money } from "../stripe/money.ts";
import type { Call, Json, Known, Returned } from "./client.ts";
import { maskedOrNull } from "./storable.ts";

export type NotificationCalls = ReturnType<typeof notificationCalls>;

export type Notification = {
  id: string;
  order_id: string;
  template: string;
  /** Null: no address is known yet. */
  recipient: string | null;
  /** What the database knows the recipient by; a link to unsubscribe carries it. */
  recipient_hmac: string | null;
  /** Why it must not go to that address; null: it may. */
  suppression: string | null;
  /** The provider has it already. */
  is_sent: boolean;
  /** It asks to buy: its readers can unsubscribe. */
  is_reminder: boolean;
  status: "queued" | "sent" | "bounced" | "complained" | "suppressed" | "failed" | "skipped";
  data: { [field: string]: Json | undefined };
  /** Why it must not be sent any more; null when what it says is true. */
  problem: string | null;
  order: NotificationOrder;
  shop: ShopSettings;
};

/** The shop as its customers know it: the rows of private.settings whose key begins with shop_. */
export type ShopSettings = {
  name: string;
  /** The name in From; null: EMAIL_FROM as it is. */
  sender_name: string | null;
  /**
   * These four: an https address, or a path on the site of SITE_URL. `{number}` in order_url is the order's, `{token}`
   * what opens its page.
   */
  logo_url: string | null;
  order_url: string | null;
  returns_url: string | null;
  privacy_url: string | null;
  /** `#rrggbb`. */
  accent_color: string;
  contact_email: string | null;
  /** Its lines are separated by line breaks. */
  postal_address: string | null;
  /** Language tag of mails whose reader's language is not known. */
  locale: string;
  /** IANA name. */
  time_zone: string;
  /** Where staff look at an order, `{number}` is its number; and the runbook, whose anchors are kinds of alert. */
  admin_order_url: string | null;
  runbook_url: string | null;
  /** What a card's statement shows. */
  statement_descriptor: string | null;
};

/** What a mail can show of its order; amounts in minor units. */
export type NotificationOrder = {
  number: string;
  status: string;
  fulfillment_status: string;
  currency: string;
  amount_subtotal: number;
  amount_discount: number;
  amount_shipping: number;
  amount_tax: number;
  amount_total: number;
  amount_refunded: number;
  amount_paid: number;
  /** What was charged where the customer paid in a currency of their own; null: amount_paid. */
  presentment: Money | null;
  customer_name: string | null;
  shipping_name: string | null;
  shipping_address: Address | null;
  billing_address: Address | null;
  /** Name of the delivery price that was chosen; null where it cannot be told. */
  shipping_method: string | null;
  locale: string | null;
  created_at: string;
  paid_at: string | null;
  /** What the kept payment was made with. */
  card: { brand: string | null; last4: string | null } | null;
  /** What a business buyer gave on the payment page. */
  business: Business | null;
  /** The codes of the latest attempt that failed. */
  decline: {
    failure_code: string | null;
    decline_code: string | null;
    advice_code: string | null;
    /** Stripe's name of the payment method. */
    method: string | null;
  } | null;
  /** `name` carries colour and size. */
  items: { sku: string; name: string; quantity: number; unit_amount: number; image_url: string | null }[];
};

export type StoredAlert = {
  id: string;
  kind: string;
  severity: "info" | "warning" | "critical";
  dedupe_key: string;
  status: "open" | "acknowledged" | "resolved";
  count: number;
  first_at: string;
  last_at: string;
  data: { [field: string]: Json | undefined };
  told_at: string | null;
  over_told_at: string | null;
};

/** What staff have not been told yet about one kind of alert. */
export type AlertMessage = {
  outcome: "tell";
  /** All of them are resolved. */
  over: boolean;
  kind: string;
  /** The highest of all. */
  severity: StoredAlert["severity"];
  /** How often all of them were seen. */
  count: number;
  first_at: string;
  last_at: string;
  /** Latest first; `alerts` are the first five. */
  alert_ids: string[];
  alerts: StoredAlert[];
  shop: ShopSettings;
};

/** A day in the shop's time zone; amounts in minor units. */
export type Digest = {
  /** `YYYY-MM-DD` */
  day: string;
  sales: { currency: string; count: number; amount: number }[];
  refunds: { currency: string; count: number; amount: number }[];
  to_ship: number;
  /** Orders that wait for a person, by reason. */
  attention: Record<string, number>;
  /** Those whose deadline is within seven days. */
  disputes: { order_number: string | null; amount: number; currency: string; evidence_due_by: string }[];
  /** Open ones by kind. */
  alerts: Record<string, number>;
  mails_failed: number;
  shop: ShopSettings;
};

/** How the objectives were met in the seven days from `week` on. */
export type ErrorBudgets = {
  /** `YYYY-MM-DD` */
  week: string;
  objectives: {
    name: string;
    /** The share that is to be good. */
    target: number;
    good: number;
    bad: number;
    /** Of the 28 days up to the end of the week: how many were bad, and how many may be. */
    bad_in_budget: number;
    budget: number;
  }[];
  shop: ShopSettings;
};

/** A message to send, or why there is none: sent with others of its kind, or to be asked for later. */
export type TakenAlertMessage = AlertMessage | { outcome: "told" } | { outcome: "wait"; until: string };

/** What was made of a report about a mail, and the order that the mail is about. */
export type MailEventOutcome = Known<Returned<"record_mail_event">, {
  outcome: "recorded" | "unchanged" | "unknown";
}>;

export const notificationCalls = (call: Call) => ({
  getNotification: (id: string) =>
    call("get_notification", { p_notification_id: id }) as Promise<Notification | null>,

  /** False: it had been sent already, and stays so. */
  recordNotificationResult: (
    id: string,
    recipient: string | null,
    result: { status: "sent"; providerId: string | null } | {
      status: "failed" | "skipped" | "suppressed";
      error: string;
    },
  ): Promise<boolean> =>
    call("record_notification_result", {
      p_notification_id: id,
      p_status: result.status,
      p_recipient: recipient,
      p_provider_id: result.status === "sent" ? result.providerId : null,
      p_error: result.status === "sent" ? null : maskedOrNull(result.error),
    }),

  takeAlertMessage: (alertId: string) =>
    call("take_alert_message", { p_alert_id: alertId }) as Promise<TakenAlertMessage>,

  getDigest: (day: string, livemode: boolean) =>
    call("get_digest", { p_day: day, p_livemode: livemode }) as Promise<Digest>,

  getErrorBudgets: (week: string) => call("get_error_budgets", { p_week: week }) as Promise<ErrorBudgets>,

  recordAlertMessage: (alertIds: string[], over: boolean): Promise<void> =>
    call("record_alert_message", { p_alert_ids: alertIds, p_over: over }),

  /**
   * What became of a mail. `unchanged`: the same or more is known; `unknown`: it is none of ours.
   * @param event `notificationId` null: the provider tells its own id alone; `permanent`: the address takes no mail.
   */
  recordMailEvent: (event: {
    notificationId: string | null;
    providerId: string;
    status: "delivered" | "failed" | "suppressed" | "bounced" | "complained";
    permanent: boolean;
    recipient: string | null;
    at: string;
    detail: string | null;
  }) =>
    call("record_mail_event", {
      p_notification_id: event.notificationId,
      p_provider_id: event.providerId,
      p_status: event.status,
      p_permanent: event.permanent,
      p_recipient: event.recipient,
      p_at: event.at,
      p_detail: maskedOrNull(event.detail),
    }) as Promise<MailEventOutcome>,

  /** Ends reminders for the address that is known by this HMAC. */
  unsubscribeReminders: (hmac: string) => call("unsubscribe_reminders", { p_email_hmac: hmac }),
});
