/** Money that goes to the shop's bank: daily by itself, or when it is asked for. */
import type Stripe from "stripe";
import { type Context, idOf, need } from "../core/context.ts";
import { ApiError, invalidRequest } from "../core/errors.ts";
import { newId } from "../core/ids.ts";
import { MERCHANT } from "../core/merchant.ts";
import { checkUnits } from "../core/money.ts";
import { availableFunds, DAY_S, midnight, recordBalance } from "./balance.ts";

export interface PayoutInput {
  amount: number;
  automatic: boolean;
  currency: string;
  description: string | null;
  destination?: string;
  metadata: Record<string, string>;
  statementDescriptor: string | null;
}

/** The account's bank account for a currency; there is one for each. */
function bankAccount(context: Context, currency: string): Stripe.BankAccount {
  const id = `ba_1StandInBankAccount${currency.toUpperCase()}`;
  const known = context.store.get("bank_account", id);
  if (known !== undefined) return known;
  const account: Stripe.BankAccount = {
    id,
    object: "bank_account",
    account: "acct_1StandInAccount00",
    account_holder_name: MERCHANT.name,
    account_holder_type: "company",
    account_type: null,
    available_payout_methods: ["standard"],
    bank_name: "STRIPE TEST BANK",
    country: "US",
    currency,
    default_for_currency: true,
    fingerprint: newId("fingerprint"),
    last4: "6789",
    metadata: {},
    routing_number: "110000000",
    status: "new",
  };
  context.store.put("bank_account", account);
  return account;
}

/** Sends money to the bank; it arrives after the pace's time. */
export function createPayout(context: Context, input: PayoutInput): Stripe.Payout {
  checkUnits(input.amount, input.currency, "amount");
  const account = bankAccount(context, input.currency);
  if (input.destination !== undefined && input.destination !== account.id) {
    throw invalidRequest(
      `No such external account: '${input.destination}'`,
      "destination",
      "resource_missing",
    );
  }
  if (input.amount > (availableFunds(context).get(input.currency) ?? 0)) throw insufficient();
  const id = newId("payout");
  const taken = recordBalance(context, {
    amount: -input.amount,
    currency: input.currency,
    fee: 0,
    source: id,
    type: "payout",
    reportingCategory: "payout",
    description: input.description ?? "STRIPE PAYOUT",
  });
  const payout: Stripe.Payout = {
    id,
    object: "payout",
    amount: input.amount,
    application_fee: null,
    application_fee_amount: null,
    arrival_date: midnight(context.now + DAY_S),
    automatic: input.automatic,
    balance_transaction: taken.id,
    created: context.now,
    currency: input.currency,
    description: input.description ?? "STRIPE PAYOUT",
    destination: account.id,
    failure_balance_transaction: null,
    failure_code: null,
    failure_message: null,
    livemode: false,
    metadata: input.metadata,
    method: "standard",
    original_payout: null,
    payout_method: null,
    reconciliation_status: input.automatic ? "in_progress" : "not_applicable",
    reversed_by: null,
    source_type: "card",
    statement_descriptor: input.statementDescriptor,
    status: "pending",
    trace_id: { status: "pending", value: null },
    type: "bank_account",
  };
  context.store.put("payout", payout);
  context.emit("payout.created", payout);
  if (context.pace.payoutMs !== null) context.schedule("pay_payout", id, context.pace.payoutMs);
  return payout;
}

function insufficient(): ApiError {
  return invalidRequest(
    "You have insufficient funds in your Stripe account for this transfer. Your card balance is too low. You can use the the /v1/balance endpoint to view your Stripe balance (for more details, see stripe.com/docs/api#balance).",
    undefined,
    "balance_insufficient",
  );
}

/**
 * The daily payout: all that is available, a payout for each currency. Returns them. What each one consists of is kept,
 * as the API lists the transactions of an automatic payout.
 */
export function payOutDaily(context: Context): Stripe.Payout[] {
  return [...availableFunds(context)].filter(([, amount]) => amount > 0).map(([currency, amount]) => {
    const settled = context.store.rows<{ id: string }>(
      `select id from objects where kind = 'balance_transaction' and json_extract(body, '$.currency') = ?
         and json_extract(body, '$.status') = 'available'
         and seq > coalesce((select max(seq) from objects where kind = 'payout'
           and json_extract(body, '$.currency') = ? and json_extract(body, '$.automatic') = 1), 0)
       order by seq desc`,
      currency,
      currency,
    );
    const payout = createPayout(context, {
      amount,
      automatic: true,
      currency,
      description: null,
      metadata: {},
      statementDescriptor: null,
    });
    const own = idOf(payout.balance_transaction);
    context.store.setInternals("payout", payout.id, {
      transactions: [...(own === null ? [] : [own]), ...settled.map(({ id }) => id)],
    });
    return payout;
  });
}

function announce(context: Context, payout: Stripe.Payout, before: Stripe.Payout): void {
  context.store.put("payout", payout);
  context.emit("payout.updated", payout, before);
}

/** Money arrives at the bank. */
export function payPayout(context: Context, id: string): void {
  const payout = context.store.get("payout", id);
  if (payout === undefined || (payout.status !== "pending" && payout.status !== "in_transit")) return;
  const paid: Stripe.Payout = {
    ...payout,
    reconciliation_status: payout.automatic ? "completed" : payout.reconciliation_status,
    status: "paid",
    trace_id: { status: "supported", value: newId("token").slice(0, 12) },
  };
  announce(context, paid, payout);
  context.emit("payout.paid", paid);
  if (paid.automatic) context.emit("payout.reconciliation_completed", paid);
}

/** Where a payout can be brought by hand. */
export const PAYOUT_MOVES = ["failed", "in_transit", "paid"] as const;

/** The bank moves a payout; what it sends back is in the balance again, also when it had arrived. */
export function movePayout(
  context: Context,
  payout: Stripe.Payout,
  status: typeof PAYOUT_MOVES[number],
): Stripe.Payout {
  if (payout.status === "failed" || payout.status === "canceled") {
    throw invalidRequest(`Payout ${payout.id} with status ${payout.status} has ended.`, "payout");
  }
  if (payout.status === "paid" && status !== "failed") {
    throw invalidRequest(`Payout ${payout.id} has been paid, and can only fail.`, "payout");
  }
  if (status === "paid") payPayout(context, payout.id);
  else if (status === "failed") {
    const failed: Stripe.Payout = {
      ...payout,
      failure_balance_transaction: giveBack(context, payout, "payout_failure"),
      failure_code: "account_closed",
      failure_message: "The bank account has been closed.",
      status,
    };
    announce(context, failed, payout);
    context.emit("payout.failed", failed);
  } else announce(context, { ...payout, status }, payout);
  return need(context, "payout", payout.id);
}

/** Takes a payout back that has not left yet. */
export function cancelPayout(context: Context, payout: Stripe.Payout): Stripe.Payout {
  if (payout.automatic) {
    throw invalidRequest("Payouts that were created automatically cannot be canceled.", "payout");
  }
  if (payout.status !== "pending") {
    throw invalidRequest(`Payouts with a status of ${payout.status} cannot be canceled.`, "payout");
  }
  const canceled: Stripe.Payout = {
    ...payout,
    failure_balance_transaction: giveBack(context, payout, "payout_cancel"),
    status: "canceled",
  };
  context.store.put("payout", canceled);
  context.emit("payout.canceled", canceled);
  return canceled;
}

function giveBack(context: Context, payout: Stripe.Payout, type: "payout_cancel" | "payout_failure"): string {
  return recordBalance(context, {
    amount: payout.amount,
    currency: payout.currency,
    fee: 0,
    source: payout.id,
    type,
    reportingCategory: "payout_reversal",
    description: payout.description ?? "STRIPE PAYOUT",
  }).id;
}
