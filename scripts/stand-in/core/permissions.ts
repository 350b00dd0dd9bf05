/**
 * What a restricted key may do (https://docs.stripe.com/keys/restricted-api-keys). A right to write includes the right
 * to read.
 */
import { ApiError } from "./errors.ts";
import type { Method } from "./router.ts";

/** Permissions of one key, as Stripe names them in its refusals: `rak_customer_write`. */
export type Permissions = ReadonlySet<string>;

/** Where an operation's objects belong. Stripe's dashboard has charges and refunds in one line. */
const RESOURCES: readonly (readonly [prefix: string, resource: string])[] = [
  ["/v1/account", "accounts_kyc_basic"],
  ["/v1/balance_transactions", "balance_transaction_source"],
  ["/v1/balance", "balance"],
  ["/v1/charges", "charge"],
  ["/v1/checkout/sessions", "checkout_session"],
  ["/v1/coupons", "coupon"],
  ["/v1/customers", "customer"],
  ["/v1/disputes", "dispute"],
  ["/v1/events", "event"],
  ["/v1/file_links", "file_link"],
  ["/v1/files", "file"],
  ["/v1/payment_intents", "payment_intent"],
  ["/v1/payment_links", "payment_link"],
  ["/v1/payment_methods", "payment_method"],
  ["/v1/payouts", "payout"],
  ["/v1/prices", "plan"],
  ["/v1/products", "product"],
  ["/v1/promotion_codes", "promotion_code"],
  ["/v1/radar/value_list", "radar_value_list"],
  ["/v1/refunds", "charge"],
  ["/v1/reviews", "review"],
  ["/v1/setup_attempts", "setup_intent"],
  ["/v1/setup_intents", "setup_intent"],
  ["/v1/mandates", "mandate"],
  ["/v1/tax_rates", "tax_rate"],
  ["/v1/tokens", "token"],
  ["/v1/shipping_rates", "shipping_rate"],
  ["/v1/webhook_endpoints", "webhook"],
];

/** Objects that are read where another one is asked for with `expand[]`. */
const OBJECTS: Readonly<Record<string, string>> = {
  balance_transaction: "balance_transaction_source",
  charge: "charge",
  "checkout.session": "checkout_session",
  customer: "customer",
  dispute: "dispute",
  file: "file",
  file_link: "file_link",
  payment_intent: "payment_intent",
  payment_method: "payment_method",
  payout: "payout",
  refund: "charge",
  setup_intent: "setup_intent",
  review: "review",
};

/** @throws ApiError 403 when a key with these permissions may not do this. */
export function requirePermission(permissions: Permissions, method: Method, path: string): void {
  const resource = RESOURCES.find(([prefix]) => path.startsWith(prefix))?.[1];
  if (resource === undefined) {
    throw refusal(
      "This is a restricted API key, but the required permissions are not available for use by " +
        "restricted keys.",
    );
  }
  requireRight(permissions, resource, method === "GET" ? "read" : "write");
}

/** @throws ApiError 403 when a key with these permissions may not read such an object. */
export function requireReading(permissions: Permissions, object: unknown): void {
  const resource = typeof object === "string" ? OBJECTS[object] : undefined;
  if (resource !== undefined) requireRight(permissions, resource, "read");
}

function requireRight(permissions: Permissions, resource: string, right: "read" | "write"): void {
  const wanted = `rak_${resource}_${right}`;
  if (permissions.has(wanted) || permissions.has(`rak_${resource}_write`)) return;
  throw refusal(`Having the '${wanted}' permission would allow this request to continue.`);
}

function refusal(reason: string): ApiError {
  return new ApiError(403, {
    type: "invalid_request_error",
    message: `The provided key does not have the required permissions for this endpoint. ${reason}`,
  });
}
