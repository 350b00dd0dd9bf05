import type Stripe from "stripe";
import { invalidRequest, resourceMissing } from "../core/errors.ts";
import { list, paramsOf, text, truth } from "../core/fields.ts";
import { datedListParams, listObject, pageQuery, type Route, route } from "../core/router.ts";
import { findEvent, listEvents, type StoredEvent } from "../delivery/events.ts";

/** Sends an event again: to one endpoint, or to whoever listens. */
export type Resend = (event: StoredEvent, endpoint: string | null) => void;

/** `/v1/events` */
export function eventRoutes(resend: Resend): Route[] {
  return [
    route(
      "GET",
      "/v1/events",
      paramsOf<Stripe.EventListParams>()({
        ...datedListParams,
        delivery_success: truth,
        type: text(),
        types: list(text(), 20),
      }),
      (context, params) => {
        const query = pageQuery(params);
        const cursor = query.startingAfter ?? query.endingBefore;
        if (cursor !== undefined && findEvent(context.store, cursor) === undefined) {
          throw resourceMissing(
            "event",
            cursor,
            params.starting_after === undefined ? "ending_before" : "starting_after",
            400,
          );
        }
        if (params.type !== undefined && params.types !== undefined) {
          throw invalidRequest("You may only specify one of these parameters: type, types.", "type");
        }
        const types = params.types ?? (params.type === undefined ? undefined : [params.type]);
        const { data, hasMore } = listEvents(context.store, {
          ...query,
          ...(types === undefined ? {} : { types }),
          ...(params.delivery_success === undefined ? {} : { deliverySuccess: params.delivery_success }),
        });
        return listObject("/v1/events", data, hasMore);
      },
    ),
    route("GET", "/v1/events/:id", paramsOf<unknown>()({}), (context, _params, id) => {
      const event = findEvent(context.store, id);
      if (event === undefined) throw resourceMissing("event", id);
      return event;
    }),
    // Not in the published API: what `stripe events resend` calls.
    route(
      "POST",
      "/v1/events/:id/retry",
      paramsOf<{ account: string; for_stripecli: boolean; webhook_endpoint: string }>()({
        account: text(),
        for_stripecli: truth,
        webhook_endpoint: text(),
      }),
      (context, params, id) => {
        const event = findEvent(context.store, id);
        if (event === undefined) throw resourceMissing("event", id);
        if (
          params.webhook_endpoint !== undefined &&
          context.store.get("webhook_endpoint", params.webhook_endpoint) === undefined
        ) {
          throw resourceMissing("webhook endpoint", params.webhook_endpoint, "webhook_endpoint", 400);
        }
        resend(event, params.webhook_endpoint ?? null);
        return event;
      },
    ),
  ];
}
