/** What the customer was charged where Adaptive Pricing let them pay in a currency of their own. */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { translate } from "../../../supabase/functions/_shared/stripe_events/mod.ts";
import { fixture } from "../fakes.ts";

for (
  const [type, fact] of [
    ["checkout.session.completed", "checkout_session"],
    ["payment_intent.succeeded", "payment"],
    ["charge.succeeded", "payment_attempt"],
    ["refund.created", "refund"],
  ] as const
) {
  Deno.test(`translate() reads the customer's currency of ${type} beside the shop's own`, async () => {
    const told = async (details: unknown) => {
      const event = await fixture(type) as unknown as Stripe.Event;
      Object.assign(event.data.object, { presentment_details: details });
      const translation = translate(event);
      assert(translation.kind === "facts");
      const found = translation.facts.find((one) => one.fact === fact);
      assert(found !== undefined && "presentment_amount" in found);
      return [found.currency, found.presentment_amount, found.presentment_currency];
    };
    assert.deepEqual(await told({ presentment_amount: 20_100, presentment_currency: "GBP" }), [
      "usd",
      20_100,
      "gbp",
    ]);
    for (
      const nothing of [undefined, null, {}, { presentment_amount: 25_800, presentment_currency: "usd" }]
    ) {
      assert.deepEqual(await told(nothing), ["usd", null, null]);
    }
  });
}
