/** A notification as the database answers it, for tests of mails. */
import type {
  AlertMessage,
  Notification,
  NotificationOrder,
  ShopSettings,
  StoredAlert,
} from "../../supabase/functions/_shared/database/notifications.ts";

/** A shop with everything set. */
export const shop: ShopSettings = {
  name: "Example Outfitters",
  sender_name: null,
  logo_url: null,
  order_url: "/orders/{number}#token={token}",
  returns_url: "/returns",
  privacy_url: "https://shop.example/privacy",
  admin_order_url: null,
  runbook_url: "https://shop.example/runbook",
  accent_color: "#1f2f4f",
  contact_email: "service@shop.example",
  postal_address: "Example Outfitters Ltd\n12 Example Street, Springfield",
  locale: "en",
  time_zone: "Europe/Berlin",
  statement_descriptor: "EXAMPLE OUTFITTERS",
};

/** A paid order of one thing for 10 dollars, with nothing known of its buyer. */
export const order: NotificationOrder = {
  number: "T-100001",
  status: "paid",
  fulfillment_status: "unfulfilled",
  currency: "usd",
  amount_subtotal: 1_000,
  amount_discount: 0,
  amount_shipping: 0,
  amount_tax: 0,
  amount_total: 1_000,
  amount_refunded: 0,
  amount_paid: 1_000,
  presentment: null,
  customer_name: null,
  shipping_name: null,
  shipping_address: null,
  billing_address: null,
  shipping_method: null,
  locale: null,
  created_at: "2026-11-08T22:30:00Z",
  paid_at: "2026-11-08T23:30:00Z",
  card: null,
  business: null,
  decline: null,
  items: [{ sku: "A", name: "Shirt – White, L", quantity: 1, unit_amount: 1_000, image_url: null }],
};

/** A notification of `template` about that order, changed as told. */
export function notificationOf(
  template: string,
  changes: Partial<NotificationOrder> = {},
  rest: Partial<Omit<Notification, "template" | "order">> = {},
): Notification {
  return {
    id: "6f1c2b9e-4c57-4c0f-9d6e-0a5d3a1b7c43",
    order_id: "6f1c2b9e-4c57-4c0f-9d6e-0a5d3a1b7c42",
    recipient: "ada@example.com",
    recipient_hmac: "a".repeat(64),
    suppression: null,
    is_sent: false,
    is_reminder: false,
    status: "queued",
    data: {},
    problem: null,
    shop,
    ...rest,
    template,
    order: { ...order, ...changes },
  };
}

/** Where the mails of these tests lead to. */
export const links = {
  siteUrl: "https://shop.example",
  resumeUrl: "https://ref.supabase.example/functions/v1/resume-checkout?token=t&x=1",
  orderToken: "signed.token-1",
  unsubscribeUrl: null,
};

/** An open alert that carries `data`. */
export function alertOf(data: StoredAlert["data"]): StoredAlert {
  return {
    id: "a",
    kind: "refund_refused",
    severity: "critical",
    dedupe_key: "refund_refused:1",
    status: "open",
    count: 1,
    first_at: "2026-11-01T10:00:00Z",
    last_at: "2026-11-01T10:00:00Z",
    data,
    told_at: null,
    over_told_at: null,
  };
}

/** What staff are to be told of these alerts of one kind. */
export function incidentOf(alerts: StoredAlert[]): AlertMessage {
  const { kind, severity, first_at, last_at } = alerts[0] ?? alertOf({});
  return {
    outcome: "tell",
    over: false,
    kind,
    severity,
    count: alerts.length,
    first_at,
    last_at,
    alert_ids: alerts.map(({ id }) => id),
    alerts,
    shop,
  };
}
