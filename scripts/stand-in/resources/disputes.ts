import type Stripe from "stripe";
import { need } from "../core/context.ts";
import {
  clearable,
  country,
  type Field,
  list,
  map,
  metadata,
  oneOf,
  paramsOf,
  required,
  text,
  truth,
} from "../core/fields.ts";
import { datedListParams, listRoute, type Route, route } from "../core/router.ts";
import { changedMetadata } from "../checkout/session_internals.ts";
import type { EvidenceInput } from "../payments/dispute_evidence.ts";
import { closeDispute, EVIDENCE_TEXTS, submitEvidence } from "../payments/disputes.ts";
import { EVIDENCE_FILES } from "../payments/evidence_files.ts";

const MAX_TEXT = 20_000;
const buyer = {
  customer_account_id: clearable(text()),
  customer_device_fingerprint: clearable(text()),
  customer_device_id: clearable(text()),
  customer_email_address: clearable(text()),
  customer_purchase_ip: clearable(text()),
  product_description: clearable(text(MAX_TEXT)),
  shipping_address: map({
    city: clearable(text()),
    country: clearable(country),
    line1: clearable(text()),
    line2: clearable(text()),
    postal_code: clearable(text()),
    state: clearable(text()),
  }),
};
const fee = map({ fee_acknowledged: truth });

/** Clearable texts of these names. */
const texts = (names: readonly string[], max?: number) =>
  Object.fromEntries(names.map((name): [string, Field<string | null>] => [name, clearable(text(max))]));

const evidence = map(
  {
    ...texts(EVIDENCE_TEXTS, MAX_TEXT),
    ...texts(EVIDENCE_FILES),
    appeal: clearable(map({
      card: clearable(
        map({ reason_for_filing: clearable(text(MAX_TEXT)), supporting_files: list(text()) }),
      ),
    })),
    enhanced_evidence: clearable(map({
      mastercard_compliance: fee,
      visa_compelling_evidence_3: map({
        disputed_transaction: map({
          ...buyer,
          merchandise_or_services: oneOf("merchandise", "services"),
        }),
        prior_undisputed_transactions: list(map({ ...buyer, charge: required(text()) })),
      }),
      visa_compliance: fee,
    })),
  },
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
    paramsOf<Stripe.DisputeUpdateParams>()({
      evidence,
      intended_submission_method: oneOf("manual", "prefer_manual", "prefer_smart_disputes", "smart_disputes"),
      metadata,
      submit: truth,
    }),
    (context, params, id) => {
      const dispute = need(context, "dispute", id);
      let current = dispute;
      if (params.metadata !== undefined) {
        current = { ...dispute, metadata: changedMetadata(dispute.metadata, params.metadata) };
        context.store.put("dispute", current);
        context.emit("charge.dispute.updated", current, dispute);
      }
      const { appeal, enhanced_evidence: enhanced, ...rest } = params.evidence ?? {};
      const named = Object.entries(rest).filter((entry): entry is [string, string | null] =>
        entry[1] !== undefined
      );
      const isFile = ([name]: [string, unknown]) => EVIDENCE_FILES.some((file) => file === name);
      const input = {
        texts: Object.fromEntries(named.filter((entry) => !isFile(entry))),
        files: Object.fromEntries(named.filter(isFile)),
        ...(appeal === undefined ? {} : { appeal }),
        ...(enhanced === undefined ? {} : { enhanced }),
      } as EvidenceInput;
      const given = Object.keys(params.evidence ?? {}).length > 0;
      const submits = params.submit ?? given;
      const intended = params.intended_submission_method;
      if (!given && !submits && intended === undefined) return current;
      return submitEvidence(context, current, input, submits, intended);
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
