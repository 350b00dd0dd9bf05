import type Stripe from "stripe";
import { type Context, need } from "../core/context.ts";
import { invalidRequest, unsupported } from "../core/errors.ts";
import { currency, type Field, map, paramsOf, required, text, whole } from "../core/fields.ts";
import { newId } from "../core/ids.ts";
import { type Route, route } from "../core/router.ts";
import { fingerprint, readCard } from "../payments/payment_methods.ts";
import { namedCard } from "../payments/test_cards.ts";

const cardFields = map({
  address_city: text(),
  address_country: text(),
  address_line1: text(),
  address_line2: text(),
  address_state: text(),
  address_zip: text(),
  currency,
  cvc: text(4),
  exp_month: required(whole()),
  exp_year: required(whole()),
  name: text(),
  number: required(text(23)),
}, { unsupported: ["networks"] });

type CardFields = ReturnType<typeof cardFields.read>;

const cardInput: Field<CardFields> = {
  read(node, context) {
    if (typeof node === "string") throw unsupported("tokens of a customer's card (Connect)");
    return cardFields.read(node, context);
  },
};

/** Keeps what a card is, never its number, under a token that can be used once. */
function createToken(context: Context, input: CardFields): Stripe.Token {
  const read = readCard(context, input);
  const { card, month, year } = read;
  const given = (value: string | undefined) => value === undefined ? null : "unchecked";
  const token: Stripe.Token = {
    id: newId("card_token"),
    object: "token",
    card: {
      id: newId("card"),
      object: "card",
      address_city: input.address_city ?? null,
      address_country: input.address_country ?? null,
      address_line1: input.address_line1 ?? null,
      address_line1_check: given(input.address_line1),
      address_line2: input.address_line2 ?? null,
      address_state: input.address_state ?? null,
      address_zip: input.address_zip ?? null,
      address_zip_check: given(input.address_zip),
      allow_redisplay: "unspecified",
      brand: BRANDS[card.brand],
      country: card.country,
      customer: null,
      cvc_check: given(input.cvc),
      dynamic_last4: null,
      exp_month: month,
      exp_year: year,
      fingerprint: fingerprint(card),
      funding: card.funding,
      last4: card.last4,
      metadata: {},
      name: input.name ?? null,
      regulated_status: "unregulated",
      tokenization_method: null,
    },
    client_ip: "127.0.0.1",
    created: context.now,
    livemode: false,
    type: "card",
    used: false,
  };
  context.store.put("token", token);
  context.store.setInternals("token", token.id, read);
  return token;
}

/** Cards of before payment methods write their brands out. */
const BRANDS = {
  amex: "American Express",
  diners: "Diners Club",
  discover: "Discover",
  jcb: "JCB",
  mastercard: "MasterCard",
  unionpay: "UnionPay",
  visa: "Visa",
} as const;

/** `/v1/tokens`, of cards */
export const tokenRoutes: Route[] = [
  route(
    "POST",
    "/v1/tokens",
    paramsOf<Stripe.TokenCreateParams>()({ card: cardInput }, {
      unsupported: ["account", "bank_account", "customer", "cvc_update", "person", "pii"],
    }),
    (context, params) => {
      if (params.card === undefined) {
        throw invalidRequest(
          "You must supply either a card, customer, PII data, bank account, or account legal entity to create a token.",
        );
      }
      return createToken(context, params.card);
    },
  ),
  route("GET", "/v1/tokens/:id", paramsOf<unknown>()({}), (context, _params, id) => {
    // Each reading of one of the ready-made tokens is of a fresh one.
    const number = id.startsWith("tok_") ? namedCard(id) : undefined;
    if (number === undefined) return need(context, "token", id);
    const year = new Date(context.now * 1000).getUTCFullYear() + 1;
    return createToken(context, { exp_month: 12, exp_year: year, number });
  }),
];
