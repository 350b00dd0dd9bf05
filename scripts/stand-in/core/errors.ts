import type Stripe from "stripe";

/** The members of Stripe's error object that the stand-in fills. */
export interface StripeErrorBody {
  type: "api_error" | "card_error" | "idempotency_error" | "invalid_request_error";
  code?: string;
  decline_code?: string;
  advice_code?: string;
  network_decline_code?: string;
  message: string;
  doc_url?: string;
  param?: string;
  request_log_url?: string;
  charge?: string;
  payment_intent?: Stripe.PaymentIntent;
  payment_method?: Stripe.PaymentMethod;
  setup_intent?: Stripe.SetupIntent;
}

/** An answer of the API that is an error. `keepsChanges`: a declined card is an error that still left a charge behind. */
export class ApiError extends Error {
  override name = "ApiError";

  constructor(
    readonly status: number,
    readonly body: StripeErrorBody,
    readonly keepsChanges = false,
    readonly headers: Record<string, string> = {},
  ) {
    super(body.message);
  }
}

/** What an error says of itself beside its words: where its code is explained, and where the request is logged. */
export function withAddresses(body: StripeErrorBody, requestId: string): StripeErrorBody {
  const { code } = body;
  return {
    ...body,
    ...(code === undefined || code === UNSUPPORTED_CODE
      ? {}
      : { doc_url: `https://stripe.com/docs/error-codes/${code.replaceAll("_", "-")}` }),
    request_log_url: `https://dashboard.stripe.com/test/logs/${requestId}?t=${Math.floor(Date.now() / 1000)}`,
  };
}

/** 400 for a request that Stripe would not accept. */
export function invalidRequest(message: string, param?: string, code?: string): ApiError {
  return new ApiError(400, {
    type: "invalid_request_error",
    message,
    ...(param === undefined ? {} : { param }),
    ...(code === undefined ? {} : { code }),
  });
}

/** 404 (or 400 when the id came as a parameter of another request) for an object that does not exist. */
export function resourceMissing(label: string, id: string, param = "id", status = 404): ApiError {
  return new ApiError(status, {
    type: "invalid_request_error",
    code: "resource_missing",
    message: `No such ${label}: '${id}'`,
    param,
  });
}

/** The status of what Stripe has and the stand-in has not. */
export const UNSUPPORTED = 501;
const UNSUPPORTED_CODE = "standin_unsupported";

/** 501 for something Stripe has and the stand-in has not; clients must not retry it. */
export function unsupported(feature: string): ApiError {
  return new ApiError(
    UNSUPPORTED,
    {
      type: "api_error",
      code: UNSUPPORTED_CODE,
      message: `The local Stripe stand-in does not support ${feature}.`,
    },
    false,
    { "stripe-should-retry": "false" },
  );
}
