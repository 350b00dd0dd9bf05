/** Stripe customers: corrections made in the dashboard, and deletions. */
import type Stripe from "stripe";
import type { Translation } from "./facts.ts";

type CustomerEvent = Stripe.CustomerUpdatedEvent | Stripe.CustomerDeletedEvent;

/** `customer.updated` and `customer.deleted`; customers we do not know change no row. */
export function translateCustomer(event: CustomerEvent): Translation {
  const customer = event.data.object;
  const deleted = event.type === "customer.deleted";
  return {
    kind: "facts",
    facts: [{
      fact: "customer",
      id: customer.id,
      livemode: customer.livemode,
      email: deleted ? null : customer.email ?? null,
      name: deleted ? null : customer.name ?? null,
      deleted,
    }],
  };
}
