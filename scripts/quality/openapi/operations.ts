/** What the functions answer to, one entry per operation. */
import {
  checkoutAnswer,
  healthAnswer,
  jobsAnswer,
  jsonSchema,
  mailWebhookAnswer,
  orderStatusAnswer,
  resumeAnswer,
  unsubscribeAnswer,
  webhookAnswer,
} from "../../../supabase/functions/_shared/http/answers.ts";
import { type ErrorCode } from "../../../supabase/functions/_shared/errors.ts";
import { cartSchema } from "../../../supabase/functions/create-checkout-session/cart.ts";
import { resumeSchema } from "../../../supabase/functions/resume-checkout/handler.ts";
import { jobsSchema } from "../../../supabase/functions/retry-jobs/handler.ts";

export type Json = Record<string, unknown>;
export type Access =
  | "publishable"
  | "publishable or user"
  | "secret"
  | "signature"
  | "mail signature"
  | "none"
  | "secret or none";

export interface Operation {
  /** The function, where the operation is not called as it is. */
  at?: string;
  method: "get" | "post";
  summary: string;
  description?: string;
  access: Access;
  parameters?: Json[];
  body?: Json;
  /** Of the body, where it is not JSON. */
  bodyTypes?: string[];
  answers: Record<string, Json>;
  errors: ErrorCode[];
  /** Refusals come as text to read as well. */
  readable?: true;
}

export const TEXT: Json = { schema: { type: "string" } };

const SHOPPER_ADDRESS: Json = {
  name: "x-shopper-ip",
  in: "header",
  required: false,
  description:
    "The shopper's IP address, from a server that shows the secret key; from anybody else it is ignored.",
  schema: { type: "string" },
};

export const OPERATIONS: Record<string, Operation> = {
  "create-checkout-session": {
    method: "post",
    summary: "Reserve a cart and get the page where it is paid",
    description:
      "Prices, stock and currency come from the database. Repeat a request that failed or got no answer with the " +
      "same Idempotency-Key: it completes the same order. A guest's key must be random; it is all that tells one guest from another.",
    access: "publishable or user",
    parameters: [
      {
        name: "Idempotency-Key",
        in: "header",
        required: false,
        description:
          "One per cart, random; a guest's has two characters at least. With another cart it is refused.",
        schema: { type: "string", minLength: 1, maxLength: 255 },
      },
      SHOPPER_ADDRESS,
    ],
    body: jsonSchema(cartSchema, "input"),
    answers: {
      "200": answer("The same as before: a repeat", jsonSchema(checkoutAnswer, "output")),
      "201": answer("A new order", jsonSchema(checkoutAnswer, "output")),
    },
    errors: [
      "invalid_request",
      "unauthorized",
      "origin_not_allowed",
      "unknown_sku",
      "request_timeout",
      "insufficient_stock",
      "currency_unavailable",
      "shipping_unavailable",
      "idempotency_conflict",
      "conflict",
      "checkout_refused",
      "body_too_large",
      "unsupported_media_type",
      "rate_limited",
      "velocity_exceeded",
      "stripe_unavailable",
      "busy",
      "database_unavailable",
    ],
  },
  "order-status": {
    method: "get",
    summary: "Follow an order on its page",
    description: "One of session_id and token is needed.",
    access: "publishable",
    parameters: [
      optionalQuery("session_id", "The id that Stripe put into the success URL.", "^cs_\\w+$"),
      optionalQuery("token", "Out of the link in a mail: signed, and good for 90 days."),
      SHOPPER_ADDRESS,
    ],
    answers: { "200": answer("The order, without personal data", jsonSchema(orderStatusAnswer, "output")) },
    errors: [
      "invalid_request",
      "unauthorized",
      "origin_not_allowed",
      "order_not_found",
      "link_expired",
      "rate_limited",
      "stripe_unavailable",
      "busy",
      "database_unavailable",
    ],
  },
  "resume-checkout": {
    method: "get",
    summary: "Follow the link in a mail to an unpaid order",
    description:
      "Changes nothing: mail scanners open links as well. Asked for text/html, refusals are plain text to read; otherwise they are JSON.",
    access: "none",
    parameters: [query("token", "Signed, and good for some days."), SHOPPER_ADDRESS],
    answers: {
      "303": {
        description:
          "To the payment page that is still open; to the success page when the order has been paid; otherwise to " +
          "SITE_URL/resume?token=…, the shop's page that offers to open the order again",
        headers: { location: { schema: { type: "string", format: "uri" } } },
      },
    },
    errors: [
      "invalid_request",
      "origin_not_allowed",
      "order_not_found",
      "conflict",
      "link_expired",
      "rate_limited",
      "busy",
      "database_unavailable",
    ],
    readable: true,
  },
  "reopen-checkout": {
    at: "resume-checkout",
    method: "post",
    summary: "Open an unpaid order again",
    description:
      "What the page behind the link calls when the shopper asks for it. Holds stock again, at today's prices, when " +
      "the last payment page has ended. Repeating it leads to the same page.",
    access: "none",
    parameters: [SHOPPER_ADDRESS],
    body: jsonSchema(resumeSchema, "input"),
    answers: { "200": answer("Where it is paid", jsonSchema(resumeAnswer, "output")) },
    errors: [
      "invalid_request",
      "origin_not_allowed",
      "order_not_found",
      "request_timeout",
      "insufficient_stock",
      "shipping_unavailable",
      "conflict",
      "checkout_refused",
      "link_expired",
      "body_too_large",
      "unsupported_media_type",
      "rate_limited",
      "velocity_exceeded",
      "stripe_unavailable",
      "database_unavailable",
    ],
  },
  "stripe-webhook": {
    method: "post",
    summary: "Receive an event from Stripe",
    access: "signature",
    body: { type: "object", description: "Stripe's event, exactly as it was signed." },
    answers: { "200": answer("Stored", jsonSchema(webhookAnswer, "output")) },
    errors: [
      "missing_signature",
      "invalid_signature",
      "timestamp_out_of_tolerance",
      "invalid_payload",
      "ip_not_allowed",
      "request_timeout",
      "body_too_large",
      "rate_limited",
      "not_recorded",
    ],
  },
  "mail-webhook": {
    method: "post",
    summary: "Receive from Resend what became of a mail",
    access: "mail signature",
    body: { type: "object", description: "Resend's event, exactly as it was signed." },
    answers: { "200": answer("Known, or of no use", jsonSchema(mailWebhookAnswer, "output")) },
    errors: ["invalid_signature", "request_timeout", "body_too_large", "database_unavailable"],
  },
  "open-unsubscribe": {
    at: "unsubscribe",
    method: "get",
    summary: "Follow the link in a reminder to unsubscribe",
    description:
      "Changes nothing: mail scanners open links as well. Asked for text/html, refusals are plain text to read.",
    access: "none",
    parameters: [query("token", "Signed; never expires.")],
    answers: {
      "303": {
        description: "To SITE_URL/unsubscribe?token=…, the shop's page that offers to unsubscribe",
        headers: { location: { schema: { type: "string", format: "uri" } } },
      },
    },
    errors: ["invalid_request", "origin_not_allowed"],
    readable: true,
  },
  "unsubscribe": {
    method: "post",
    summary: "End reminders to the address of a link (RFC 8058)",
    description: "What mailboxes call, and the page behind the link. Mails about orders still come.",
    access: "none",
    parameters: [query("token", "Signed; never expires.")],
    body: {
      type: "object",
      properties: { "List-Unsubscribe": { const: "One-Click" } },
      required: ["List-Unsubscribe"],
    },
    bodyTypes: ["application/x-www-form-urlencoded", "multipart/form-data"],
    answers: { "200": answer("No more reminders", jsonSchema(unsubscribeAnswer, "output")) },
    errors: [
      "invalid_request",
      "origin_not_allowed",
      "request_timeout",
      "body_too_large",
      "unsupported_media_type",
      "database_unavailable",
    ],
  },
  "retry-jobs": {
    method: "post",
    summary: "Run what is due: events, refunds, mails, alerts",
    access: "secret",
    body: jsonSchema(jobsSchema, "input"),
    answers: { "200": answer("What has been done", jsonSchema(jobsAnswer, "output")) },
    errors: [
      "invalid_request",
      "unauthorized",
      "request_timeout",
      "body_too_large",
      "unsupported_media_type",
      "database_unavailable",
    ],
  },
  "health": {
    method: "get",
    summary: "Is the shop working?",
    access: "secret or none",
    parameters: [{
      name: "format",
      in: "query",
      required: false,
      description: "openmetrics: answer in OpenMetrics text, with 200 although the shop is down.",
      schema: { type: "string", enum: ["openmetrics"] },
    }],
    answers: {
      "200": healthOf("Orders can be taken"),
      "503": healthOf("Orders cannot be taken"),
    },
    errors: ["origin_not_allowed"],
  },
};

function answer(description: string, schema: Json): Json {
  return { description, content: { "application/json": { schema } } };
}

function healthOf(description: string): Json {
  const schema = jsonSchema(healthAnswer, "output");
  return {
    description,
    content: { "application/json": { schema }, "application/openmetrics-text": TEXT },
  };
}

function optionalQuery(name: string, description: string, pattern?: string): Json {
  return { ...query(name, description, pattern), required: false };
}

function query(name: string, description: string, pattern?: string): Json {
  const schema = { type: "string", ...(pattern === undefined ? {} : { pattern }) };
  return { name, in: "query", required: true, description, schema };
}
