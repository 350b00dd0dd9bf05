/** A bank and Stripe's disputes on a virtual clock, with staff who do not look and calls that fail. */
import Stripe from "stripe";

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

type Evidence = Record<string, unknown>;

/** One deadline of a dispute, and how it was kept. */
export interface Round {
  status: string;
  dueMs: number;
  answer: "fight" | "accept" | null;
  by: "shop" | "person" | null;
}

export interface Case {
  id: string;
  charge: string;
  payment: string;
  amount: number;
  reason: string;
  method: "card" | "klarna" | "paypal";
  compliance: boolean;
  status: string;
  evidence: Evidence;
  metadata: Record<string, string>;
  hasEvidence: boolean;
  submissions: number;
  intended: Stripe.Dispute.IntendedSubmissionMethod | null;
  /** What a person has written in the dashboard, by field. */
  written: Record<string, string>;
  /** Whether a person has written anything in any round: it stays in its field when the next one begins. */
  touched: boolean;
  rounds: Round[];
}

const reviews: Record<string, string> = {
  needs_response: "under_review",
  warning_needs_response: "warning_under_review",
  appeal_needs_response: "appeal_under_review",
};

export class Bank {
  readonly cases = new Map<string, Case>();
  /** Rules that were broken. */
  readonly faults: string[] = [];
  nowMs = 0;
  readonly #startedMs = Date.now();
  /** Files by the key of their upload. */
  readonly #files = new Map<string, string>();

  constructor(readonly random: () => number) {}

  open(
    given: Omit<
      Case,
      "status" | "rounds" | "evidence" | "metadata" | "written" | "hasEvidence" | "submissions" | "touched"
    >,
    status: string,
    days: number,
  ): Case {
    const opened: Case = {
      ...given,
      status,
      rounds: [],
      // Stripe fills this in by itself.
      evidence: { customer_email_address: "ada@example.com" },
      metadata: {},
      written: {},
      touched: false,
      hasEvidence: false,
      submissions: 0,
    };
    this.cases.set(opened.id, opened);
    this.ask(opened, status, days);
    return opened;
  }

  /** A round begins: the bank wants an answer within so many days. */
  ask(dispute: Case, status: string, days: number): void {
    Object.assign(dispute, { status, written: {} });
    dispute.rounds.push({ status, dueMs: this.nowMs + days * dayMs, answer: null, by: null });
  }

  /** A person types into the dashboard. */
  write(dispute: Case, field: string, text: string, submit: boolean): void {
    const round = dispute.rounds.at(-1);
    if (round === undefined || reviews[dispute.status] === undefined || dispute.status.startsWith("appeal")) {
      return;
    }
    dispute.written[field] = text;
    dispute.touched = true;
    dispute.evidence[field] = text;
    dispute.hasEvidence = true;
    if (submit) this.#end(dispute, "fight", "person");
  }

  /** Deadlines that have passed: an inquiry becomes a chargeback, what is left is lost. */
  lapse(dispute: Case): void {
    const round = dispute.rounds.at(-1);
    if (round === undefined || reviews[dispute.status] === undefined || round.dueMs > this.nowMs) return;
    dispute.status = dispute.status === "warning_needs_response" ? "warning_closed" : "lost";
  }

  #end(dispute: Case, answer: "fight" | "accept", by: "shop" | "person"): void {
    const round = dispute.rounds.at(-1);
    if (round === undefined) throw new Error(`${dispute.id} has no round`);
    if (this.nowMs > round.dueMs) this.faults.push(`${dispute.id}: ${round.status} was answered too late`);
    Object.assign(round, { answer, by });
    if (answer === "accept") {
      dispute.status = dispute.status.startsWith("warning") ? "warning_closed" : "lost";
    } else {
      dispute.submissions++;
      dispute.status = reviews[dispute.status] ?? dispute.status;
    }
  }

  /** As Stripe shows it; the deadline is as far from the time of the start as it is from the virtual now. */
  show(id: string): Stripe.Dispute {
    const dispute = this.#find(id);
    const due = dispute.rounds.at(-1)?.dueMs ?? 0;
    const fee = dispute.evidence["enhanced_evidence"] === undefined
      ? "requires_fee_acknowledgement"
      : "fee_acknowledged";
    return {
      id,
      object: "dispute",
      amount: dispute.amount,
      currency: "usd",
      charge: dispute.charge,
      payment_intent: dispute.payment,
      livemode: false,
      reason: dispute.reason,
      status: dispute.status,
      created: Math.floor(this.#startedMs / 1000),
      balance_transactions: [],
      metadata: { ...dispute.metadata },
      evidence: { ...dispute.evidence },
      enhanced_eligibility_types: dispute.compliance ? ["visa_compliance"] : [],
      evidence_details: {
        due_by: Math.floor((this.#startedMs + due - this.nowMs) / 1000),
        enhanced_eligibility: dispute.compliance ? { visa_compliance: { status: fee } } : {},
        has_evidence: dispute.hasEvidence,
        past_due: false,
        submission_count: dispute.submissions,
        submission_method: "not_submitted",
      },
      intended_submission_method: dispute.intended,
      payment_method_details: { type: dispute.method },
    } as unknown as Stripe.Dispute;
  }

  /** What the jobs call. */
  get stripe(): Stripe {
    const disputes = {
      retrieve: (id: string) => this.#call(() => this.show(id)),
      update: (id: string, params: Stripe.DisputeUpdateParams) => this.#call(() => this.#update(id, params)),
      close: (id: string) =>
        this.#call(() => {
          this.#end(this.#waiting(id), "accept", "shop");
          return this.show(id);
        }),
    };
    const files = {
      create: (_params: Stripe.FileCreateParams, { idempotencyKey = "" }: Stripe.RequestOptions) =>
        this.#call(() => {
          const id = this.#files.get(idempotencyKey) ?? `file_${this.#files.size}`;
          this.#files.set(idempotencyKey, id);
          return { id };
        }),
    };
    return { disputes, files } as unknown as Stripe;
  }

  #update(id: string, params: Stripe.DisputeUpdateParams): Stripe.Dispute {
    const dispute = this.#waiting(id);
    const appeal = dispute.status.startsWith("appeal");
    if (dispute.method === "klarna" && dispute.status === "warning_needs_response") {
      throw refused("an inquiry");
    }
    for (const [field, value] of Object.entries(params.evidence ?? {})) {
      if ((field === "appeal") !== appeal) throw refused(`${field} in ${dispute.status}`);
      const kept = dispute.written[field];
      if (/^file_/.test(String(value)) && ![...this.#files.values()].includes(String(value))) {
        throw refused(`there is no ${value}`);
      }
      if (kept !== undefined && kept !== value) {
        this.faults.push(`${id}: ${field} of a person is overwritten`);
      }
      dispute.evidence[field] = value;
    }
    if (dispute.compliance && !appeal && params.submit === true) throw refused("the fee is not acknowledged");
    Object.assign(dispute.metadata, params.metadata);
    dispute.hasEvidence = true;
    if (dispute.intended !== null) dispute.intended = params.intended_submission_method ?? dispute.intended;
    if (params.submit !== false) this.#end(dispute, "fight", "shop");
    return this.show(id);
  }

  #find(id: string): Case {
    const found = this.cases.get(id);
    if (found === undefined) throw new Error(`no dispute ${id}`);
    return found;
  }

  #waiting(id: string): Case {
    const dispute = this.#find(id);
    if (reviews[dispute.status] === undefined) throw refused(`already ${dispute.status}`);
    return dispute;
  }

  /** One call in eight fails: before anything is done, or after. */
  #call<T>(work: () => T): Promise<T> {
    const dice = this.random();
    const lost = new Stripe.errors.StripeConnectionError({ message: "no answer", type: "api_error" });
    if (dice < 0.08) return Promise.reject(lost);
    try {
      const answer = work();
      return dice > 0.96 ? Promise.reject(lost) : Promise.resolve(answer);
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

function refused(message: string): Error {
  return new Stripe.errors.StripeInvalidRequestError({
    message,
    type: "invalid_request_error",
    statusCode: 400,
  });
}
