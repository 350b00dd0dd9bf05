/**
 * What the functions' restricted key must be allowed to do, and nothing else is: a test compares the list with the calls
 * in the code. Names are Stripe's (https://docs.stripe.com/keys/restricted-api-keys); `resource` is the line in its
 * dashboard. Writing includes reading.
 */
export const keyPermissions = [
  { name: "rak_checkout_session_write", resource: "Checkout Sessions", right: "write" },
  { name: "rak_customer_write", resource: "Customers", right: "write" },
  { name: "rak_payment_intent_read", resource: "PaymentIntents", right: "read" },
  { name: "rak_charge_write", resource: "Charges and Refunds", right: "write" },
  { name: "rak_dispute_write", resource: "Disputes", right: "write" },
  { name: "rak_file_write", resource: "Files", right: "write" },
  { name: "rak_review_read", resource: "Reviews", right: "read" },
  { name: "rak_event_read", resource: "Events", right: "read" },
  { name: "rak_webhook_read", resource: "Webhook Endpoints", right: "read" },
] as const;

export type KeyPermission = (typeof keyPermissions)[number]["name"];

/** The page of Stripe's dashboard where such a key is made, with all of it filled in. */
export function keyCreationUrl(livemode: boolean): string {
  const chosen = keyPermissions.map(({ name }) => `permissions[]=${name}`).join("&");
  return `https://dashboard.stripe.com/${
    livemode ? "" : "test/"
  }apikeys/create?name=Payment%20backend&${chosen}`;
}
