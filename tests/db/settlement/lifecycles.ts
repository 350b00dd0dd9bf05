import type { Ending, Lifecycle } from "./lifecycle.ts";
import { cancellations } from "./lifecycles_of_cancellations.ts";
import { disputes } from "./lifecycles_of_disputes.ts";
import { parcels } from "./lifecycles_of_parcels.ts";
import { payments } from "./lifecycles_of_payments.ts";
import { refunds } from "./lifecycles_of_refunds.ts";

/** What can happen to an order, from the plain sale to a dispute that is appealed. */
export const lifecycles: (Lifecycle & { end: Ending })[] = [
  ...payments,
  ...refunds,
  ...disputes,
  ...cancellations,
  ...parcels,
];
