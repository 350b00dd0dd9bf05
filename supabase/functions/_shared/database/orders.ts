/** An order as its buyer sees it. */
import type { Money } from "../stripe/money.ts";
import type { Call } from "./client.ts";

export type OrderCalls = ReturnType<typeof orderCalls>;

/** A line of an order; `unit_amount` in minor units of the order's currency. */
export type OrderLine = { sku: string; name: string; quantity: number; unit_amount: number };

/** Pieces of a line. */
export type OrderPieces = { sku: string; name: string; quantity: number };

/** What the page of an order shows; amounts in minor units. */
export type OrderStatus = {
  order_number: string;
  status: string;
  fulfillment_status: string;
  currency: string;
  amount_subtotal: number;
  amount_discount: number;
  amount_shipping: number;
  amount_tax: number;
  amount_total: number;
  amount_refunded: number;
  items: OrderLine[];
  paid_at: string | null;
  /** What was charged where the customer paid in a currency of their own; null: the total in the order's. */
  presentment: Money | null;
  shipments: {
    parcel: number;
    carrier: string | null;
    tracking_number: string | null;
    tracking_url: string | null;
    shipped_at: string;
    items: OrderPieces[];
  }[];
  returns: { status: "awaited" | "received"; items: OrderPieces[] }[];
  refunds: {
    amount: number;
    status: "on_its_way" | "details_needed" | "done" | "failed";
    created_at: string;
    presentment: Money | null;
  }[];
  /** The Realtime topic that says when to ask again. */
  live_topic: string;
  order_id: string;
  /** The session that Stripe may be asked about; null: there is none yet. */
  session_id: string | null;
  /** False: Stripe may know more than the database; ask it. */
  settled: boolean;
};

/** How the page of an order is found: by a session of its, or by the order's id out of a signed link. */
export type OrderKey = { sessionId: string } | { orderId: string };

export const orderCalls = (call: Call) => ({
  /** Null: no such session or order. */
  getOrderStatus: (key: OrderKey) =>
    call(
      "get_order_status",
      "orderId" in key ? { p_order_id: key.orderId } : { p_session_id: key.sessionId },
    ) as Promise<OrderStatus | null>,
});
