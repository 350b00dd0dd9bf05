/**
 * The Stripe API version of requests, webhook endpoint and translators. Its own file, so that the webhook
 * knows it without loading the SDK.
 */
export const stripeApiVersion = "2026-10-28.endive";
