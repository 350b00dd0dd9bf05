/** Stripe customers: corrections made in the dashboard, and deletions. */
import type Stripe from "stripe";
import type { Fact, Translation } from "./facts.ts";

type CustomerEvent = Stripe.CustomerUpdatedEvent | Stripe.CustomerDeletedEvent;

/** `customer.updated` and `customer.deleted`; customers we do not know change no row. */
export function translateCustomer(event: CustomerEvent): Translation {
  const { id, livemode, email, name } = event.data.object;
  const deleted = event.type === "customer.deleted";
  return { kind: "facts", facts: [customerFact(id, livemode, deleted ? null : { email, name })] };
}

/** The fact in a customer read from the API; of a deleted one Stripe tells the id alone. */
export function customerFacts(customer: Stripe.Customer | Stripe.DeletedCustomer, livemode: boolean): Fact[] {
  return [customerFact(customer.id, livemode, customer.deleted ? null : customer)];
}

function customerFact(
  id: string,
  livemode: boolean,
  person: { email: string | null; name?: string | null | undefined } | null,
): Fact {
  return {
    fact: "customer",
    id,
    livemode,
    email: person?.email ?? null,
    name: person?.name ?? null,
    deleted: person === null,
  };
}
