import type Stripe from "stripe";
import { need } from "../core/context.ts";
import { invalidRequest, unsupported } from "../core/errors.ts";
import { currency, metadata, oneOf, paramsOf, required, text, whole } from "../core/fields.ts";
import { datedListParams, listOf, listRoute, pageOf, type Route, route } from "../core/router.ts";
import type { Filter } from "../core/store.ts";
import { changedMetadata } from "../checkout/session_internals.ts";
import { balanceOf } from "../payments/balance.ts";
import { cancelPayout, createPayout } from "../payments/payouts.ts";

const noParams = paramsOf<unknown>()({});

const transactionListParams = paramsOf<Stripe.BalanceTransactionListParams>()({
  ...datedListParams,
  currency,
  payout: text(),
  source: text(),
  type: text(),
});

/** `/v1/balance`, `/v1/balance_transactions` and `/v1/payouts` */
export const balanceRoutes: Route[] = [
  route("GET", "/v1/balance", noParams, (context) => balanceOf(context)),
  route(
    "GET",
    "/v1/balance_transactions/:id",
    noParams,
    (context, _params, id) => need(context, "balance_transaction", id),
  ),
  route("GET", "/v1/balance_transactions", transactionListParams, (context, params) => {
    const url = "/v1/balance_transactions";
    const filters: Filter[] = [];
    if (params.currency !== undefined) filters.push(["currency", params.currency]);
    if (params.source !== undefined) filters.push(["source", params.source]);
    if (params.type !== undefined) filters.push(["type", params.type]);
    if (params.payout === undefined) return listOf(context, "balance_transaction", url, params, filters);
    const payout = need(context, "payout", params.payout, "payout");
    if (!payout.automatic) {
      throw invalidRequest(
        "Balance transaction history can only be filtered on automatic transfers, not manual.",
        "payout",
      );
    }
    if (params.created !== undefined) throw unsupported("`created` beside `payout` of GET " + url);
    const all = (context.store.internals("payout", payout.id)?.transactions ?? [])
      .map((id) => need(context, "balance_transaction", id))
      .filter((transaction) =>
        (params.currency === undefined || transaction.currency === params.currency) &&
        (params.source === undefined || transaction.source === params.source) &&
        (params.type === undefined || transaction.type === params.type)
      );
    return pageOf(url, all, params, "balance transaction");
  }),
  route(
    "POST",
    "/v1/payouts",
    paramsOf<Stripe.PayoutCreateParams>()({
      amount: required(whole(1)),
      currency: required(currency),
      description: text(1000),
      destination: text(),
      metadata,
      method: oneOf("instant", "standard"),
      source_type: oneOf("bank_account", "card", "fpx"),
      statement_descriptor: text(22),
    }, { unsupported: ["payout_method"] }),
    (context, params) => {
      if (params.method === "instant") throw unsupported("instant payouts");
      if (params.source_type !== undefined && params.source_type !== "card") {
        throw unsupported(`payouts of the balance \`${params.source_type}\``);
      }
      return createPayout(context, {
        amount: params.amount,
        automatic: false,
        currency: params.currency,
        description: params.description ?? null,
        ...(params.destination === undefined ? {} : { destination: params.destination }),
        metadata: changedMetadata({}, params.metadata),
        statementDescriptor: params.statement_descriptor ?? null,
      });
    },
  ),
  route("GET", "/v1/payouts/:id", noParams, (context, _params, id) => need(context, "payout", id)),
  route(
    "POST",
    "/v1/payouts/:id",
    paramsOf<Stripe.PayoutUpdateParams>()({ metadata }),
    (context, params, id) => {
      const payout = need(context, "payout", id);
      const changed = { ...payout, metadata: changedMetadata(payout.metadata ?? {}, params.metadata) };
      context.store.put("payout", changed);
      context.emit("payout.updated", changed, payout);
      return changed;
    },
  ),
  route(
    "POST",
    "/v1/payouts/:id/cancel",
    noParams,
    (context, _params, id) => cancelPayout(context, need(context, "payout", id)),
  ),
  listRoute(
    "/v1/payouts",
    "payout",
    paramsOf<Stripe.PayoutListParams>()({
      ...datedListParams,
      destination: text(),
      status: oneOf("canceled", "failed", "in_transit", "paid", "pending"),
    }, { unsupported: ["arrival_date"] }),
  ),
];
