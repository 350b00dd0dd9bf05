import type { Ending, Lifecycle } from "./lifecycle.ts";
import { cancellations } from "./lifecycles_of_cancellations.ts";
import { disputes } from "./lifecycles_of_disputes.ts";
import { payments } from "./lifecycles_of_payments.ts";
import { refunds } from "./lifecycles_of_refunds.ts";

/** The lifecycles that point 3 of the settlement contract names, and a few more. */
export const lifecycles: (Lifecycle & { end: Ending })[] = [
  ...payments,
  ...refunds,
  ...disputes,
  ...cancellations,
];
