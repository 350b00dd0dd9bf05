/** An order as its buyer sees it. */
import type { Call } from "./client.ts";

export type OrderCalls = ReturnType<typeof orderCalls>;

/** A line of an order; `unit_amount` in minor units of the order's currency. */
export type OrderLine = { sku: string; name: string; quantity: number; unit_amount: number };

export type OrderStatus = {
  order_number: string;
  status: string;
  fulfillment_status: string;
  currency: string;
  amount_total: number;
  items: OrderLine[];
  paid_at: string | null;
  /** False: Stripe may know more than the database; ask it. */
  settled: boolean;
};

export const orderCalls = (call: Call) => ({
  /** Null: no such session. */
  getOrderStatus: (sessionId: string) =>
    call("get_order_status", { p_session_id: sessionId }) as Promise<OrderStatus | null>,
});
