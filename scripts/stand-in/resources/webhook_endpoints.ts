import type Stripe from "stripe";
import { OF_ENDPOINTS, standingOf } from "../core/api_version.ts";
import type { Context } from "../core/context.ts";
import { need } from "../core/context.ts";
import { isEventType } from "../delivery/event_types.ts";
import { invalidRequest, unsupported } from "../core/errors.ts";
import {
  clearable,
  type Field,
  list,
  metadata,
  paramsOf,
  required,
  text,
  truth,
  url,
} from "../core/fields.ts";
import { newId } from "../core/ids.ts";
import type { Route } from "../core/router.ts";
import { listParams, listRoute, route } from "../core/router.ts";
import { changedMetadata } from "../checkout/session_internals.ts";

/** What endpoints need from the server around them. */
export interface EndpointHost {
  /** The secret given to an endpoint that is the only one; every other gets a fresh one. Null: all do. */
  fixedSecret: string | null;
  changed(): void;
}

const MOST_ENDPOINTS = 16;
const ROLL_MS = 24 * 3600 * 1000;

const eventType: Field<string> = {
  read(node, context) {
    const value = text().read(node, context);
    if (isEventType(value)) return value;
    throw invalidRequest(`Invalid ${context.path}: ${value} is not an event type.`, context.path);
  },
};

const apiVersion: Field<string> = {
  read(node, context) {
    const version = text().read(node, context);
    if (OF_ENDPOINTS.includes(version)) return version;
    const standing = standingOf(version);
    if (standing === "unknown") {
      throw invalidRequest(`Invalid ${context.path}: ${version} is not an API version.`, context.path);
    }
    throw unsupported(
      `webhook endpoints of API version ${version}: it speaks ${OF_ENDPOINTS[0]} to ${OF_ENDPOINTS.at(-1)}`,
    );
  },
};

/** Makes a new secret for an endpoint; for a day deliveries carry a signature of the old one too. */
export function rollSecret(context: Context, id: string, secret: string): void {
  need(context, "webhook_endpoint", id);
  const current = context.store.internals("webhook_endpoint", id);
  if (current?.secret === secret) return;
  context.store.setInternals("webhook_endpoint", id, {
    secret,
    previousSecret: current?.secret ?? null,
    previousUntilMs: Date.now() + ROLL_MS,
    failingSinceMs: current?.failingSinceMs ?? null,
  });
}

/** `/v1/webhook_endpoints` */
export function webhookEndpointRoutes(host: EndpointHost): Route[] {
  const createParams = paramsOf<Stripe.WebhookEndpointCreateParams>()({
    enabled_events: required(list(eventType, 400)),
    url: required(url),
    api_version: apiVersion,
    description: clearable(text()),
    metadata,
  }, { unsupported: ["connect"] });
  const updateParams = paramsOf<Stripe.WebhookEndpointUpdateParams>()({
    enabled_events: list(eventType, 400),
    url,
    description: clearable(text()),
    disabled: truth,
    metadata,
  });
  return [
    route("POST", "/v1/webhook_endpoints", createParams, (context, params) => {
      if (context.store.all("webhook_endpoint").length >= MOST_ENDPOINTS) {
        throw invalidRequest(`You have reached the maximum of ${MOST_ENDPOINTS} test webhook endpoints.`);
      }
      const endpoint: Stripe.WebhookEndpoint = {
        id: newId("webhook_endpoint"),
        object: "webhook_endpoint",
        api_version: params.api_version ?? null,
        application: null,
        created: context.now,
        description: params.description ?? null,
        enabled_events: params.enabled_events,
        livemode: false,
        metadata: changedMetadata({}, params.metadata),
        status: "enabled",
        url: params.url,
      };
      const isFirst = context.store.all("webhook_endpoint").length === 0;
      const secret = isFirst ? host.fixedSecret ?? newId("webhook_secret") : newId("webhook_secret");
      context.store.put("webhook_endpoint", endpoint);
      context.store.setInternals("webhook_endpoint", endpoint.id, {
        secret,
        previousSecret: null,
        previousUntilMs: 0,
        failingSinceMs: null,
      });
      host.changed();
      return { ...endpoint, secret };
    }),
    route(
      "GET",
      "/v1/webhook_endpoints/:id",
      paramsOf<unknown>()({}),
      (context, _params, id) => need(context, "webhook_endpoint", id),
    ),
    route("POST", "/v1/webhook_endpoints/:id", updateParams, (context, params, id) => {
      const endpoint = need(context, "webhook_endpoint", id);
      const changed: Stripe.WebhookEndpoint = {
        ...endpoint,
        description: params.description === undefined ? endpoint.description : params.description,
        enabled_events: params.enabled_events ?? endpoint.enabled_events,
        metadata: changedMetadata(endpoint.metadata, params.metadata),
        status: params.disabled === undefined ? endpoint.status : params.disabled ? "disabled" : "enabled",
        url: params.url ?? endpoint.url,
      };
      context.store.put("webhook_endpoint", changed);
      host.changed();
      return changed;
    }),
    route("DELETE", "/v1/webhook_endpoints/:id", paramsOf<unknown>()({}), (context, _params, id) => {
      need(context, "webhook_endpoint", id);
      context.store.remove("webhook_endpoint", id);
      host.changed();
      return { id, object: "webhook_endpoint", deleted: true };
    }),
    listRoute(
      "/v1/webhook_endpoints",
      "webhook_endpoint",
      paramsOf<Stripe.WebhookEndpointListParams>()(listParams),
    ),
  ];
}
