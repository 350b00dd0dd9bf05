/**
 * Every parameter of Stripe's published specification, one by one: none is refused untruly, and none is taken in a form
 * that it cannot have. Requests are read, not carried out, so that a few thousand take no time.
 */
import assert from "node:assert/strict";
import { API_VERSION } from "../../scripts/stand-in/core/api_version.ts";
import type { Context } from "../../scripts/stand-in/core/context.ts";
import { ApiError } from "../../scripts/stand-in/core/errors.ts";
import { decodeForm } from "../../scripts/stand-in/core/form.ts";
import { Router } from "../../scripts/stand-in/core/router.ts";
import { allRoutes } from "../../scripts/stand-in/resources/all.ts";
import { type Schema, specification } from "./stripe_mock.ts";

const { test } = Deno;

/** Endive removed these, or gave them other values; the specification is of the version before. */
const REMOVED = /^POST \/v1\/(checkout\/sessions|payment_intents\S*) payment_method_types/;

const routes = allRoutes({ fixedSecret: null, changed: () => {} }, () => {}, () => ({}));
const router = new Router();
router.add(routes);
const served = new Set(routes.map(({ method, path }) => `${method} ${path.replace(/:\w+/g, "{}")}`));

/** The refusal of a form, read as of a version; null when it may be carried out. */
function refusal(method: string, path: string, form: string, version = API_VERSION): ApiError | null {
  try {
    const { route, ids } = router.find(method, path.replace(/\{\w+\}/g, "x_1"));
    route.prepare({ version } as unknown as Context, decodeForm(form), ids);
    return null;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

interface Parameter {
  name: string;
  schema: Schema;
}

/** The parameters of an operation, those inside maps and lists too. */
function parametersOf(operation: unknown): Parameter[] {
  const { parameters = [], requestBody } = operation as {
    parameters?: { name: string; in: string; schema: Schema }[];
    requestBody?: { content: Record<string, { schema: Schema }> };
  };
  const body = requestBody?.content["application/x-www-form-urlencoded"]?.schema.properties ?? {};
  const all = [
    ...parameters.filter((parameter) => parameter.in === "query"),
    ...Object.entries(body).map(([name, schema]) => ({ name, schema })),
  ];
  return all.filter(({ name }) => name !== "expand").flatMap(({ name, schema }) => inside(name, schema));
}

function inside(name: string, schema: Schema): Parameter[] {
  const own = { name, schema };
  const kinds = schema.anyOf ?? [schema];
  return [
    own,
    ...kinds.flatMap(({ properties = {}, items }) => [
      ...Object.entries(properties).flatMap(([member, of]) => inside(`${name}[${member}]`, of)),
      ...(items === undefined ? [] : inside(`${name}[0]`, items)),
    ]),
  ];
}

/** What texts are made of whose form their type does not tell. */
const TEXTS: readonly [RegExp, string][] = [
  [/email/, "a@example.com"],
  [/url|images|referrer/, "http://shop.test/a"],
  [/country|allowed_countries/, "US"],
  [/tax_code/, "txcd_99999999"],
  [/currency/, "usd"],
  [/statement_descriptor/, "SHIRTS"],
  [/code|\bid\b/, "ABC-1"],
  [/routing_number/, "110000000"],
  [/number/, "000123456789"],
  [/enabled_events/, "*"],
  [/alias/, "some_text"],
  [/cvc/, "123"],
  [/exp_month/, "12"],
  [/exp_year/, "2040"],
  [/^status$/, "paid"],
];

/** Values that a parameter may have, each as form. */
function validForms(name: string, schema: Schema): string[] {
  const kinds = schema.anyOf ?? [schema];
  return kinds.flatMap((kind) => {
    if (kind.enum !== undefined) return kind.enum.map((value) => `${name}=${value}`);
    switch (kind.type) {
      case "boolean":
        return [`${name}=true`, `${name}=false`];
      case "integer":
        return [`${name}=${/year/.test(name) ? 2040 : kind.format === "unix-time" ? 1_900_000_000 : 1}`];
      case "number":
        return [`${name}=1.5`];
      case "string":
        return [`${name}=${kind.format === "decimal" ? "1.5" : textOf(name)}`];
      default:
        return [];
    }
  });
}

function textOf(name: string): string {
  return TEXTS.find(([pattern]) => pattern.test(name))?.[1] ?? "some text";
}

/** A form that no value of a parameter has; null where any text will do. */
function wrongForm(name: string, schema: Schema): string | null {
  const kinds = (schema.anyOf ?? [schema]).filter(({ enum: values }) => values?.join() !== "");
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) return null;
  if (kind.type === "string" && kind.enum === undefined) return `${name}[of][what]=x`;
  return `${name}=neither nor`;
}

/** Refusals of the form alone, whatever else the request lacks. */
function isOfForm({ status, body }: ApiError): boolean {
  return status === 400 && (
    /^parameter_(unknown|invalid)/.test(body.code ?? "") ||
    /^(Invalid |Not a valid URL)/.test(body.message)
  );
}

/** Whether a refusal names this parameter, one inside it or one around it. */
function isAbout({ body: { param = "" } }: ApiError, name: string): boolean {
  return param !== "" && (param.startsWith(name) || name.startsWith(param));
}

/** What only another mode of a session takes is refused as a whole. */
const OF_OTHER_MODES = /^POST \/v1\/checkout\/sessions (setup_intent_data|subscription_data)\[/;

test("no parameter of Stripe's published specification is refused untruly, and none is taken in a wrong form", async () => {
  const spec = await specification();
  if (spec === null) return;
  const untrue: string[] = [];
  const lenient: string[] = [];
  let asked = 0;
  for (const [path, operations] of Object.entries(spec.paths)) {
    for (const [name, operation] of Object.entries(operations as object)) {
      const method = name.toUpperCase();
      if (!served.has(`${method} ${path.replace(/\{\w+\}/g, "{}")}`)) continue;
      for (const parameter of parametersOf(operation)) {
        const called = `${method} ${path} ${parameter.name}`;
        if (REMOVED.test(called)) continue;
        for (const form of validForms(parameter.name, parameter.schema)) {
          asked++;
          const error = refusal(method, path, form);
          if (error !== null && isOfForm(error)) untrue.push(`${called}: ${form}: ${error.body.message}`);
        }
        const wrong = wrongForm(parameter.name, parameter.schema);
        if (wrong === null || OF_OTHER_MODES.test(called)) continue;
        asked++;
        const error = refusal(method, path, wrong);
        if (
          error === null || (error.status !== 501 && !isAbout(error, parameter.name))
        ) {
          lenient.push(`${called}: ${wrong}: ${error?.body.message}`);
        }
      }
    }
  }
  assert.ok(asked > 1500, `only ${asked} forms were read`);
  assert.deepEqual({ untrue, lenient }, { untrue: [], lenient: [] });
});

/** Operations with the file and the name of stripe-node's type of their parameters. */
const TYPES: readonly [method: string, path: string, file: string, name: string][] = [
  ["POST", "/v1/charges/x", "Charges", "ChargeUpdateParams"],
  ["POST", "/v1/checkout/sessions", "Checkout/Sessions", "SessionCreateParams"],
  ["POST", "/v1/checkout/sessions/x", "Checkout/Sessions", "SessionUpdateParams"],
  ["GET", "/v1/checkout/sessions", "Checkout/Sessions", "SessionListParams"],
  ["POST", "/v1/coupons", "Coupons", "CouponCreateParams"],
  ["POST", "/v1/coupons/x", "Coupons", "CouponUpdateParams"],
  ["POST", "/v1/customers", "Customers", "CustomerCreateParams"],
  ["POST", "/v1/customers/x", "Customers", "CustomerUpdateParams"],
  ["POST", "/v1/disputes/x", "Disputes", "DisputeUpdateParams"],
  ["GET", "/v1/events", "Events", "EventListParams"],
  ["POST", "/v1/payment_intents", "PaymentIntents", "PaymentIntentCreateParams"],
  ["POST", "/v1/payment_intents/x", "PaymentIntents", "PaymentIntentUpdateParams"],
  ["POST", "/v1/payment_intents/x/cancel", "PaymentIntents", "PaymentIntentCancelParams"],
  ["POST", "/v1/payment_intents/x/capture", "PaymentIntents", "PaymentIntentCaptureParams"],
  ["POST", "/v1/payment_intents/x/confirm", "PaymentIntents", "PaymentIntentConfirmParams"],
  ["POST", "/v1/payment_methods", "PaymentMethods", "PaymentMethodCreateParams"],
  ["POST", "/v1/payment_methods/x", "PaymentMethods", "PaymentMethodUpdateParams"],
  ["POST", "/v1/payment_methods/x/attach", "PaymentMethods", "PaymentMethodAttachParams"],
  ["POST", "/v1/prices", "Prices", "PriceCreateParams"],
  ["POST", "/v1/prices/x", "Prices", "PriceUpdateParams"],
  ["GET", "/v1/prices", "Prices", "PriceListParams"],
  ["POST", "/v1/products", "Products", "ProductCreateParams"],
  ["POST", "/v1/products/x", "Products", "ProductUpdateParams"],
  ["POST", "/v1/promotion_codes", "PromotionCodes", "PromotionCodeCreateParams"],
  ["POST", "/v1/promotion_codes/x", "PromotionCodes", "PromotionCodeUpdateParams"],
  ["POST", "/v1/refunds", "Refunds", "RefundCreateParams"],
  ["POST", "/v1/shipping_rates", "ShippingRates", "ShippingRateCreateParams"],
  ["POST", "/v1/shipping_rates/x", "ShippingRates", "ShippingRateUpdateParams"],
  ["POST", "/v1/webhook_endpoints", "WebhookEndpoints", "WebhookEndpointCreateParams"],
  ["POST", "/v1/webhook_endpoints/x", "WebhookEndpoints", "WebhookEndpointUpdateParams"],
];

test("every parameter of stripe-node's types is known: read, or refused by name", async () => {
  const unknown: string[] = [];
  let asked = 0;
  for (const [method, path, file, name] of TYPES) {
    const source = await Deno.readTextFile(
      new URL(`../../node_modules/stripe/esm/resources/${file}.d.ts`, import.meta.url),
    );
    const body = new RegExp(
      `interface ${name}[^{]*\\{([^]*?)\\n\\}|interface ${name}[^{]*\\{([^]*?)\\n    \\}`,
    ).exec(source);
    for (const [, member] of (body?.[1] ?? body?.[2] ?? "").matchAll(/^ {4,8}(\w+)\??: /gm)) {
      if (member === "expand") continue;
      asked++;
      if (refusal(method, path, `${member}=x`)?.body.code === "parameter_unknown") {
        unknown.push(`${method} ${path} ${member}`);
      }
    }
  }
  assert.ok(asked > 250, `only ${asked} parameters were asked for`);
  assert.deepEqual(unknown, []);
});
