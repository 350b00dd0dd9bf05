/** Deletes Stripe's own copy of a customer who was erased here. For good: Stripe keeps no way back. */
import { callStripe, stripeErrorOf } from "../stripe/client.ts";
import { done, type JobHandler, textField } from "./outcome.ts";

/** Payload: { stripe_customer_id }. */
export const deleteStripeCustomer: JobHandler = async (job, { stripe }) => {
  const id = textField(job, "stripe_customer_id");
  try {
    await callStripe(() => stripe.customers.del(id));
  } catch (error) {
    // Deleted before: by an earlier try whose answer was lost, or by hand.
    if (stripeErrorOf(error)?.code !== "resource_missing") throw error;
  }
  return done;
};
