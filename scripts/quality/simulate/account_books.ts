/** What the account of a world is made of. */
import type { Done } from "./actors.ts";

/** What Stripe has, as far as the account needs it. */
export interface AtStripe {
  sessions: {
    id: string;
    created: number;
    metadata: Record<string, string>;
    payment_intent: string | null;
    payment_status: string;
  }[];
  payments: { id: string; amount_received: number }[];
  refunds: {
    id: string;
    created: number;
    amount: number;
    status: string;
    payment_intent: string;
    metadata: Record<string, string>;
  }[];
  disputes: { id: string; payment_intent: string; amount: number; status: string }[];
  events: { id: string; type: string; created: number; data: { object: { id: string; status?: string } } }[];
}

/** An order in the shop's books. */
export interface Booked {
  id: string;
  number: string;
  status: string;
  total: number;
  paid: number;
  refunded: number;
  cancelled: boolean;
  /** In seconds since 1970. */
  cancelled_at: number | null;
  oversold: boolean;
  shipped: boolean;
  addressed: boolean;
  payment_id: string | null;
  /** Kinds of the mails that were sent, with what they are about. */
  mails: string[];
  /** What its audit trail says, in the order in which it happened; `at` in seconds since 1970. */
  trail: { kind: string; to: string | null; at: number }[];
}

/** An order in the world's account. */
export interface Known {
  booked: Booked;
  /** What staff were told yes to. */
  told: Done[];
  sessions: AtStripe["sessions"];
  refunds: AtStripe["refunds"];
  /** Those that brought money. */
  payments: string[];
  received: number;
  refunded: number;
  /** Something else than a sale has happened: money back, a warning, a dispute, a cancellation. */
  touched: boolean;
  disputed: boolean;
  /** The shop has given money back by its own decision. */
  byItself: boolean;
}

export interface Finding {
  rule: string;
  detail: unknown;
}

export const alive = ({ status }: { status: string }) => !["failed", "canceled"].includes(status);
