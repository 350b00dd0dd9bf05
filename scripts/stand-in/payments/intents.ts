import type Stripe from "stripe";
import type { FullShipping } from "../core/address_fields.ts";
import { type Context, need } from "../core/context.ts";
import { newId } from "../core/ids.ts";

export interface IntentInput {
  amount: number;
  currency: string;
  allowedMethods: string[] | null;
  excludedMethods: string[] | null;
  automaticMethods: Stripe.PaymentIntent.AutomaticPaymentMethods | null;
  captureMethod: Stripe.PaymentIntent.CaptureMethod;
  confirmationMethod: Stripe.PaymentIntent.ConfirmationMethod;
  customer: string | null;
  description: string | null;
  metadata: Record<string, string>;
  methodTypes: string[];
  /** What a shopper is charged who pays in another currency. */
  presentment: Stripe.PaymentIntent.PresentmentDetails | null;
  receiptEmail: string | null;
  requestThreeDSecure: "any" | "automatic" | "challenge";
  session: string | null;
  setupFutureUsage: Stripe.PaymentIntent.SetupFutureUsage | null;
  shipping: FullShipping | null;
  statementDescriptor: string | null;
  statementDescriptorSuffix: string | null;
  transferGroup: string | null;
}

/** Creates a payment intent and says so. */
export function createIntent(context: Context, input: IntentInput): Stripe.PaymentIntent {
  const id = newId("payment_intent");
  const intent: Stripe.PaymentIntent = {
    id,
    object: "payment_intent",
    allowed_payment_method_types: input.allowedMethods,
    amount: input.amount,
    amount_capturable: 0,
    amount_details: { tip: {} },
    amount_received: 0,
    application: null,
    application_fee_amount: null,
    automatic_payment_methods: input.automaticMethods,
    canceled_at: null,
    cancellation_reason: null,
    capture_method: input.captureMethod,
    client_secret: `${id}_${newId("client_secret")}`,
    confirmation_method: input.confirmationMethod,
    created: context.now,
    currency: input.currency,
    customer: input.customer,
    customer_account: null,
    description: input.description,
    excluded_payment_method_types: input.excludedMethods,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    managed_payments: null,
    metadata: input.metadata,
    next_action: null,
    on_behalf_of: null,
    payment_method: null,
    payment_method_configuration_details: null,
    payment_method_options: {
      card: {
        installments: null,
        mandate_options: null,
        network: null,
        request_three_d_secure: input.requestThreeDSecure,
      },
    },
    payment_method_types: input.methodTypes,
    payment_record: null,
    ...(input.presentment === null ? {} : { presentment_details: input.presentment }),
    processing: null,
    receipt_email: input.receiptEmail,
    review: null,
    setup_future_usage: input.setupFutureUsage,
    shipping: input.shipping,
    source: null,
    statement_descriptor: input.statementDescriptor,
    statement_descriptor_suffix: input.statementDescriptorSuffix,
    status: "requires_payment_method",
    transfer_group: input.transferGroup,
  };
  context.store.put("payment_intent", intent);
  context.store.setInternals("payment_intent", id, {
    session: input.session,
    return_url: null,
    behaviour: null,
  });
  context.emit("payment_intent.created", intent);
  return intent;
}

/** Writes a changed intent. */
export function saveIntent(
  context: Context,
  intent: Stripe.PaymentIntent,
  change: Partial<Stripe.PaymentIntent>,
): Stripe.PaymentIntent {
  const saved = { ...intent, ...change };
  context.store.put("payment_intent", saved);
  return saved;
}

/** The session an intent belongs to, if it came from Checkout. */
export function sessionOfIntent(context: Context, intent: string): Stripe.Checkout.Session | undefined {
  const id = context.store.internals("payment_intent", intent)?.session ?? null;
  return id === null ? undefined : need(context, "checkout.session", id);
}
