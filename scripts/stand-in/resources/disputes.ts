import type Stripe from "stripe";
import { need } from "../core/context.ts";
import { clearable, type Field, map, metadata, paramsOf, text, truth } from "../core/fields.ts";
import { datedListParams, listRoute, type Route, route } from "../core/router.ts";
import { changedMetadata } from "../checkout/session_internals.ts";
import { closeDispute, EVIDENCE_TEXTS, submitEvidence } from "../payments/disputes.ts";

const MAX_TEXT = 20_000;
const EVIDENCE_FILES = [
  "appeal",
  "cancellation_policy",
  "customer_communication",
  "customer_signature",
  "duplicate_charge_documentation",
  "enhanced_evidence",
  "receipt",
  "refund_policy",
  "service_documentation",
  "shipping_documentation",
  "uncategorized_file",
];

const evidence = map(
  Object.fromEntries(
    EVIDENCE_TEXTS.map((name): [string, Field<string | null>] => [name, clearable(text(MAX_TEXT))]),
  ),
  { unsupported: EVIDENCE_FILES },
);

/** `/v1/disputes` */
export const disputeRoutes: Route[] = [
  route(
    "GET",
    "/v1/disputes/:id",
    paramsOf<unknown>()({}),
    (context, _params, id) => need(context, "dispute", id),
  ),
  route(
    "POST",
    "/v1/disputes/:id",
    paramsOf<Stripe.DisputeUpdateParams>()({ evidence, metadata, submit: truth }, {
      unsupported: ["intended_submission_method"],
    }),
    (context, params, id) => {
      const dispute = need(context, "dispute", id);
      let current = dispute;
      if (params.metadata !== undefined) {
        current = { ...dispute, metadata: changedMetadata(dispute.metadata, params.metadata) };
        context.store.put("dispute", current);
        context.emit("charge.dispute.updated", current, dispute);
      }
      const given = Object.fromEntries(
        Object.entries(params.evidence ?? {}).filter((entry): entry is [string, string | null] =>
          entry[1] !== undefined
        ),
      );
      const submits = params.submit ?? Object.keys(given).length > 0;
      if (Object.keys(given).length === 0 && !submits) return current;
      return submitEvidence(context, current, given, submits);
    },
  ),
  route(
    "POST",
    "/v1/disputes/:id/close",
    paramsOf<unknown>()({}),
    (context, _params, id) => closeDispute(context, need(context, "dispute", id), "lost"),
  ),
  listRoute(
    "/v1/disputes",
    "dispute",
    paramsOf<Stripe.DisputeListParams>()({ ...datedListParams, charge: text(), payment_intent: text() }),
  ),
];
