/** Mails to customers, and alerts to staff. */
import type { Address } from "../stripe_events/facts.ts";
import { type Call, type Json, type Known, type Returned, rowOrNull } from "./client.ts";
import type { OrderLine } from "./orders.ts";
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
  locale: string | null;
  paid_at: string | null;
  items: OrderLine[];
};

export type StoredAlert = Known<Returned<"get_alert">[number], {
  severity: "info" | "warning" | "critical";
  data: { [field: string]: Json | undefined };
}>;

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

  getAlert: (id: string) => rowOrNull(call("get_alert", { p_alert_id: id })) as Promise<StoredAlert | null>,
});
