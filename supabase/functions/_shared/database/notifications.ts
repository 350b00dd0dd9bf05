/** Mails to customers, and alerts to staff. */
import type { Address, Business } from "../stripe_events/facts.ts";
import type { Call, Json } from "./client.ts";
import { maskedOrNull } from "./storable.ts";

export type NotificationCalls = ReturnType<typeof notificationCalls>;

export type Notification = {
  id: string;
  order_id: string;
  template: string;
  /** Null: no address is known yet. */
  recipient: string | null;
  status: "queued" | "sent" | "failed" | "skipped";
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
  decline: { failure_code: string | null; decline_code: string | null; advice_code: string | null } | null;
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
  shop: ShopSettings;
};

export const notificationCalls = (call: Call) => ({
  getNotification: (id: string) =>
    call("get_notification", { p_notification_id: id }) as Promise<Notification | null>,

  /** False: it had been sent already, and stays so. */
  recordNotificationResult: (
    id: string,
    recipient: string | null,
    result: { status: "sent"; providerId: string | null } | { status: "failed" | "skipped"; error: string },
  ): Promise<boolean> =>
    call("record_notification_result", {
      p_notification_id: id,
      p_status: result.status,
      p_recipient: recipient,
      p_provider_id: result.status === "sent" ? result.providerId : null,
      p_error: result.status === "sent" ? null : maskedOrNull(result.error),
    }),

  getAlert: (id: string) => call("get_alert", { p_alert_id: id }) as Promise<StoredAlert | null>,
});
