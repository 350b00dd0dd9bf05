/** The whole story of an order. */
import type { Call, Json, Known, Returned } from "./client.ts";

/** One thing that happened to an order; `at` is ISO 8601. */
export type TraceMoment = {
  at: string;
  kind: string;
  what: string;
  /** Ids, words and figures of this kind; nothing personal. */
  detail: { [field: string]: Json | undefined };
};

export type OrderTrace = Known<Returned<"get_order_trace">, {
  order_id: string;
  number: string;
  status: string;
  fulfillment_status: string;
  amount_total: number;
  currency: string;
  livemode: boolean;
  created_at: string;
  moments: TraceMoment[];
}>;

export const orderTraceCalls = (call: Call) => ({
  /** By number, id, or the id of anything that belongs to it. @throws AppError `order_not_found`. */
  getOrderTrace: (order: string) => call("get_order_trace", { p_order: order }) as Promise<OrderTrace>,
});
