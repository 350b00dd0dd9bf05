const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Prefix and length of each kind of identifier, as Stripe shapes them today. */
const SHAPES = {
  balance_transaction: ["txn_3", 23],
  charge: ["ch_3", 23],
  bank_charge: ["py_3", 23],
  checkout_session: ["cs_test_a1", 56],
  client_secret: ["secret_", 25],
  coupon: ["", 8],
  customer: ["cus_", 14],
  discount: ["di_1", 23],
  dispute: ["dp_1", 23],
  early_fraud_warning: ["issfr_1", 23],
  event: ["evt_1", 23],
  file: ["file_1", 23],
  file_link: ["link_1", 23],
  fingerprint: ["", 16],
  line_item: ["li_1", 23],
  listener: ["cliws_1", 23],
  mandate: ["mandate_1", 23],
  payment_link: ["plink_1", 23],
  payout: ["po_1", 23],
  payment_intent: ["pi_3", 23],
  payment_method: ["pm_1", 23],
  payment_page: ["ppage_1", 23],
  price: ["price_1", 23],
  product: ["prod_", 14],
  promotion_code: ["promo_1", 23],
  refund: ["re_3", 23],
  request: ["req_", 14],
  review: ["prv_1", 23],
  setup_attempt: ["setatt_1", 23],
  setup_intent: ["seti_1", 23],
  card: ["card_1", 23],
  card_token: ["tok_1", 23],
  shipping_rate: ["shr_1", 23],
  tax_rate: ["txr_1", 23],
  token: ["", 24],
  value_list: ["rsl_1", 23],
  value_list_item: ["rsli_1", 23],
  webhook_endpoint: ["we_1", 23],
  webhook_secret: ["whsec_", 32],
} as const satisfies Record<string, readonly [string, number]>;

export type IdKind = keyof typeof SHAPES;

function randomText(length: number): string {
  let text = "";
  while (text.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
      // 248 is the largest multiple of 62 in a byte: larger values would favour the first letters.
      if (byte < 248 && text.length < length) text += ALPHABET[byte % ALPHABET.length];
    }
  }
  return text;
}

/** A fresh identifier that looks like Stripe's for this kind of object. */
export function newId(kind: IdKind): string {
  const [prefix, length] = SHAPES[kind];
  return prefix + randomText(length);
}
