import type Stripe from "stripe";
import { type Context, need } from "../core/context.ts";
import { ApiError, invalidRequest } from "../core/errors.ts";
import { requireEvidenceFile } from "./evidence_files.ts";

type Enhanced = Stripe.Dispute.Evidence.EnhancedEvidence;
type Visa3 = Partial<Stripe.DisputeUpdateParams.Evidence.EnhancedEvidence.VisaCompellingEvidence3>;

interface AppealInput {
  card?: { reason_for_filing?: string | null; supporting_files?: string[] } | null;
}

/** The evidence of a request, as it has been read. */
export interface EvidenceInput {
  texts: Record<string, string | null>;
  /** Ids of files by field. */
  files: Record<string, string | null>;
  appeal?: AppealInput | null;
  enhanced?: {
    visa_compelling_evidence_3?: Visa3;
    visa_compliance?: { fee_acknowledged?: boolean };
    mastercard_compliance?: { fee_acknowledged?: boolean };
  } | null;
}

/** Programmes of the card networks that a dispute can be eligible for. */
export const PROGRAMMES = [
  "mastercard_compliance",
  "visa_compelling_evidence_3",
  "visa_compliance",
] as const;

export type Programme = (typeof PROGRAMMES)[number];

/** Of all texts of a dispute's evidence together. https://docs.stripe.com/api/disputes/update */
const MOST_CHARACTERS = 150_000;

export function isAppeal(dispute: Stripe.Dispute): boolean {
  return dispute.status === "appeal_needs_response";
}

/**
 * The evidence with what the request adds. An appeal takes its own field and nothing else, the rounds before it
 * anything but that; a programme takes evidence of the disputes that are eligible for it.
 */
export function addEvidence(
  context: Context,
  dispute: Stripe.Dispute,
  { texts, files, appeal, enhanced }: EvidenceInput,
): Stripe.Dispute.Evidence {
  const others = [
    ...Object.keys({ ...texts, ...files }),
    ...(enhanced === undefined ? [] : ["enhanced_evidence"]),
  ];
  if (isAppeal(dispute) && others.length > 0) {
    throw invalidRequest(
      "Only appeal evidence can be updated while a dispute is in the appeal stage.",
      `evidence[${others[0]}]`,
    );
  }
  if (!isAppeal(dispute) && appeal !== undefined) {
    throw invalidRequest(
      `Appeal evidence can only be given when the dispute is appeal_needs_response; this one is ${dispute.status}.`,
      "evidence[appeal]",
    );
  }
  for (const [name, id] of Object.entries(files)) {
    if (id !== null) requireEvidenceFile(context, id, `evidence[${name}]`);
  }
  const evidence: Stripe.Dispute.Evidence = { ...dispute.evidence, ...texts, ...files };
  const characters = Object.values(evidence).reduce(
    (sum, value) => sum + (typeof value === "string" ? value.length : 0),
    0,
  );
  if (characters > MOST_CHARACTERS) {
    throw invalidRequest(
      `The combined character count of all evidence is limited to ${
        MOST_CHARACTERS.toLocaleString("en")
      }; yours has ${characters.toLocaleString("en")}.`,
      "evidence",
    );
  }
  if (appeal !== undefined) evidence.appeal = addAppeal(context, dispute.evidence.appeal ?? null, appeal);
  if (enhanced !== undefined) {
    evidence.enhanced_evidence = enhanced === null ? {} : addEnhanced(context, dispute, enhanced);
  }
  return evidence;
}

/** An appeal with what the request says; what it leaves out stays. */
function addAppeal(
  context: Context,
  before: Stripe.Dispute.Evidence.Appeal | null,
  given: AppealInput | null,
): Stripe.Dispute.Evidence.Appeal | null {
  if (given === null || given.card === null) return null;
  const { reason_for_filing: reason, supporting_files: files } = given.card ?? {};
  files?.forEach((id, at) =>
    requireEvidenceFile(context, id, `evidence[appeal][card][supporting_files][${at}]`)
  );
  const { reason_for_filing: oldReason, ...card } = before?.card ?? {};
  const filed = reason === undefined ? oldReason : reason ?? undefined;
  return {
    card: {
      ...card,
      ...(filed === undefined ? {} : { reason_for_filing: filed }),
      ...(files === undefined ? {} : { supporting_files: files }),
    },
  };
}

function addEnhanced(
  context: Context,
  dispute: Stripe.Dispute,
  { visa_compelling_evidence_3, visa_compliance, mastercard_compliance }: NonNullable<
    EvidenceInput["enhanced"]
  >,
): Enhanced {
  const given = { mastercard_compliance, visa_compelling_evidence_3, visa_compliance };
  for (const name of PROGRAMMES) {
    if (given[name] !== undefined && !dispute.enhanced_eligibility_types.includes(name)) {
      throw invalidRequest(
        `This dispute is not eligible for ${name}.`,
        `evidence[enhanced_evidence][${name}]`,
      );
    }
  }
  const enhanced: Enhanced = { ...dispute.evidence.enhanced_evidence };
  if (visa_compliance !== undefined) {
    enhanced.visa_compliance = { fee_acknowledged: visa_compliance.fee_acknowledged ?? false };
  }
  if (mastercard_compliance !== undefined) {
    enhanced.mastercard_compliance = { fee_acknowledged: mastercard_compliance.fee_acknowledged ?? false };
  }
  if (visa_compelling_evidence_3 !== undefined) {
    enhanced.visa_compelling_evidence_3 = visa3(context, visa_compelling_evidence_3);
  }
  return enhanced;
}

const NOBODY = {
  customer_account_id: null,
  customer_device_fingerprint: null,
  customer_device_id: null,
  customer_email_address: null,
  customer_purchase_ip: null,
  product_description: null,
  shipping_address: null,
};

function visa3(context: Context, given: Visa3): NonNullable<Enhanced["visa_compelling_evidence_3"]> {
  const prior = given.prior_undisputed_transactions ?? [];
  for (const { charge } of prior) {
    if (need(context, "charge", charge, "charge").disputed) {
      throw invalidRequest(`The charge ${charge} is disputed itself.`, "evidence[enhanced_evidence]");
    }
  }
  return {
    disputed_transaction: given.disputed_transaction === undefined ? null : {
      ...NOBODY,
      merchandise_or_services: null,
      ...given.disputed_transaction,
    } as NonNullable<Enhanced["visa_compelling_evidence_3"]>["disputed_transaction"],
    prior_undisputed_transactions: prior.map((transaction) => ({ ...NOBODY, ...transaction })) as NonNullable<
      Enhanced["visa_compelling_evidence_3"]
    >["prior_undisputed_transactions"],
  };
}

/** How far a dispute is in each programme that it is eligible for. */
export function eligibilityOf(
  types: readonly string[],
  evidence: Stripe.Dispute.Evidence,
): Stripe.Dispute.EvidenceDetails.EnhancedEligibility {
  const { visa_compelling_evidence_3: visa, ...compliance } = evidence.enhanced_evidence;
  const missing = visa3Lacks(visa);
  const fee = (name: "mastercard_compliance" | "visa_compliance") => ({
    status: compliance[name]?.fee_acknowledged === true
      ? "fee_acknowledged" as const
      : "requires_fee_acknowledgement" as const,
  });
  return {
    ...(types.includes("visa_compliance") ? { visa_compliance: fee("visa_compliance") } : {}),
    ...(types.includes("mastercard_compliance")
      ? { mastercard_compliance: fee("mastercard_compliance") }
      : {}),
    ...(types.includes("visa_compelling_evidence_3")
      ? {
        visa_compelling_evidence_3: {
          required_actions: missing,
          status: missing.length === 0 ? "qualified" as const : "requires_action" as const,
        },
      }
      : {}),
  };
}

/** What Visa still wants; the network address or the device, and one more of the others, must be known of each. */
function visa3Lacks(visa: Enhanced["visa_compelling_evidence_3"]) {
  const disputed = visa?.disputed_transaction ?? null;
  const prior = visa?.prior_undisputed_transactions ?? [];
  const identified = (buyer: typeof disputed | (typeof prior)[number]) => {
    if (buyer === null) return false;
    const strong = [buyer.customer_purchase_ip, buyer.customer_device_id, buyer.customer_device_fingerprint];
    const all = [...strong, buyer.customer_account_id, buyer.shipping_address];
    const known = (values: unknown[]) => values.filter((value) => value !== null && value !== "").length;
    return known(strong) > 0 && known(all) > 1;
  };
  return ([
    ["missing_customer_identifiers", ![disputed, ...prior].every(identified)],
    ["missing_disputed_transaction_description", !disputed?.product_description],
    ["missing_merchandise_or_services", !disputed?.merchandise_or_services],
    ["missing_prior_undisputed_transaction_description", prior.some((each) => !each.product_description)],
    ["missing_prior_undisputed_transactions", prior.length !== 2],
  ] as const).filter(([, lacks]) => lacks).map(([action]) => action);
}

/**
 * What Stripe refuses when evidence is submitted to the bank. That it refuses incomplete evidence of Visa's programme,
 * instead of leaving it out, is an assumption on the safe side.
 */
export function refuseSubmission(dispute: Stripe.Dispute, hasPacket: boolean): void {
  const { enhanced_eligibility: eligibility } = dispute.evidence_details;
  for (const name of ["visa_compliance", "mastercard_compliance"] as const) {
    if (eligibility[name]?.status === "requires_fee_acknowledgement") {
      throw invalidRequest(
        `You must acknowledge the fee of this compliance dispute before you submit evidence.`,
        `evidence[enhanced_evidence][${name}][fee_acknowledged]`,
      );
    }
  }
  const visa = dispute.evidence.enhanced_evidence.visa_compelling_evidence_3;
  if (visa !== undefined && eligibility.visa_compelling_evidence_3?.status !== "qualified") {
    throw invalidRequest(
      `Visa Compelling Evidence 3.0 is incomplete: ${
        eligibility.visa_compelling_evidence_3?.required_actions.join(", ")
      }.`,
      "evidence[enhanced_evidence][visa_compelling_evidence_3]",
    );
  }
  if (dispute.intended_submission_method === "smart_disputes" && !hasPacket) {
    throw new ApiError(400, {
      type: "invalid_request_error",
      code: "smart_disputes_not_available",
      message: "Smart Disputes is not available for this dispute.",
    });
  }
}
