import type Stripe from "stripe";
import { CLOVER } from "../core/api_version.ts";
import { type Context, idOf, need, needCustomer } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import {
  currency,
  type Field,
  list,
  map,
  metadata,
  oneOf,
  paramsOf,
  required,
  type ShapeValue,
  since,
  text,
  timestamp,
  truth,
  until,
  whole,
} from "../core/fields.ts";
import { newId } from "../core/ids.ts";
import { ownId, percentage } from "../core/kinds.ts";
import { checkUnits } from "../core/money.ts";
import { datedListParams, listRoute, type Route, route } from "../core/router.ts";
import { checkFuture, needs, onlyOneOf, onlyWhere, someOf } from "../core/rules.ts";
import { endCodesOf } from "../checkout/discounts.ts";
import { changedMetadata } from "../checkout/session_internals.ts";

const noParams = paramsOf<unknown>()({});

const FIVE_YEARS_S = 5 * 366 * 24 * 3600;

/** What a customer types. */
const code: Field<string> = {
  read(node, context) {
    const value = text(500).read(node, context);
    if (/^[A-Za-z0-9-]+$/.test(value)) return value;
    throw invalidRequest(
      `Invalid promotion code: ${value}. Valid characters are lower case letters (a-z), upper case letters (A-Z), digits (0-9), and dashes (-).`,
      context.path,
    );
  },
};

const couponParams = paramsOf<Stripe.CouponCreateParams>()({
  amount_off: whole(1),
  applies_to: map({ products: list(text()) }),
  currency,
  duration: oneOf("forever", "once", "repeating"),
  duration_in_months: whole(1, 100),
  id: ownId,
  max_redemptions: whole(1),
  metadata,
  name: text(40),
  percent_off: percentage,
  redeem_by: timestamp,
}, {
  unsupported: ["currency_options"],
  rules: [
    onlyOneOf("percent_off", "amount_off"),
    someOf("Must provide exactly one of `percent_off` or `amount_off`.", "percent_off", "amount_off"),
    needs("amount_off", "currency"),
    onlyWhere(
      ({ duration }) => duration === "repeating",
      (name) => `\`${name}\` can only be set when \`duration\` is \`repeating\`.`,
      "duration_in_months",
    ),
    (value, at) => {
      if (value.duration !== "repeating" || value.duration_in_months !== undefined) return;
      throw invalidRequest(
        "Missing required param: duration_in_months. It is required when `duration` is `repeating`.",
        at("duration_in_months"),
        "parameter_missing",
      );
    },
  ],
});

function createCoupon(context: Context, params: ShapeValue<typeof couponParams.shape>): Stripe.Coupon {
  checkFuture(context, params.redeem_by, "redeem_by", FIVE_YEARS_S);
  if (params.amount_off !== undefined) checkUnits(params.amount_off, params.currency ?? "usd", "amount_off");
  const id = params.id ?? newId("coupon");
  if (context.store.get("coupon", id) !== undefined) {
    throw invalidRequest("Coupon already exists.", "id", "resource_already_exists");
  }
  const coupon: Stripe.Coupon = {
    id,
    object: "coupon",
    amount_off: params.amount_off ?? null,
    created: context.now,
    currency: params.amount_off === undefined ? null : params.currency ?? null,
    duration: params.duration ?? "once",
    duration_in_months: params.duration_in_months ?? null,
    livemode: false,
    max_redemptions: params.max_redemptions ?? null,
    metadata: changedMetadata({}, params.metadata),
    name: params.name ?? null,
    percent_off: params.percent_off ?? null,
    redeem_by: params.redeem_by ?? null,
    times_redeemed: 0,
    valid: true,
  };
  const products = params.applies_to?.products ?? [];
  products.forEach((product, index) => need(context, "product", product, `applies_to[products][${index}]`));
  context.store.put("coupon", coupon);
  context.store.setInternals("coupon", id, { products });
  if (coupon.redeem_by !== null) {
    context.schedule("lapse_coupon", id, (coupon.redeem_by - context.now) * 1000);
  }
  context.emit("coupon.created", coupon);
  return coupon;
}

const promotionCodeParams = paramsOf<Stripe.PromotionCodeCreateParams>()({
  promotion: since(CLOVER, required(map({ coupon: required(text()), type: required(oneOf("coupon")) }))),
  active: truth,
  code,
  customer: text(),
  expires_at: timestamp,
  max_redemptions: whole(1),
  metadata,
  restrictions: map({
    first_time_transaction: truth,
    minimum_amount: whole(1),
    minimum_amount_currency: currency,
  }, {
    unsupported: ["currency_options"],
    rules: [
      needs("minimum_amount", "minimum_amount_currency"),
      needs("minimum_amount_currency", "minimum_amount"),
    ],
  }),
}, { unsupported: ["customer_account"], older: { coupon: until(CLOVER, required(text())) } });

type PromotionCodeInput = Omit<ShapeValue<typeof promotionCodeParams.shape>, "promotion"> & {
  promotion?: { coupon: string };
  coupon?: string;
};

/** Refuses a coupon that can be redeemed no more. */
function checkRedeemable(context: Context, coupon: Stripe.Coupon, param: string): void {
  if (coupon.valid && (coupon.redeem_by === null || coupon.redeem_by > context.now)) return;
  throw invalidRequest(`The coupon ${coupon.id} is no longer valid.`, param);
}

/** Refuses a code that an active one of the same customers has, whatever its case. */
function checkCodeFree(context: Context, wanted: string, customer: string | null): void {
  const taken = context.store.all("promotion_code", ["active", true]).some((other) =>
    other.code.toLowerCase() === wanted.toLowerCase() && idOf(other.customer) === customer
  );
  if (!taken) return;
  throw invalidRequest(`An active promotion code with \`code: ${wanted}\` already exists.`, "code");
}

function createPromotionCode(context: Context, params: PromotionCodeInput): Stripe.PromotionCode {
  const [couponId, param] = params.promotion === undefined
    ? [params.coupon ?? "", "coupon"]
    : [params.promotion.coupon, "promotion[coupon]"];
  const coupon = need(context, "coupon", couponId, param);
  checkRedeemable(context, coupon, param);
  if (params.customer !== undefined) needCustomer(context, params.customer);
  checkFuture(context, params.expires_at, "expires_at");
  if (coupon.redeem_by !== null && (params.expires_at ?? 0) > coupon.redeem_by) {
    throw invalidRequest("`expires_at` cannot be after the coupon's `redeem_by`.", "expires_at");
  }
  if (coupon.max_redemptions !== null && (params.max_redemptions ?? 0) > coupon.max_redemptions) {
    throw invalidRequest(
      "`max_redemptions` cannot be greater than the coupon's `max_redemptions`.",
      "max_redemptions",
    );
  }
  const { minimum_amount, minimum_amount_currency } = params.restrictions ?? {};
  if (minimum_amount !== undefined) {
    checkUnits(minimum_amount, minimum_amount_currency ?? "usd", "restrictions[minimum_amount]");
  }
  const chosen = params.code ?? newId("coupon").toUpperCase();
  if (params.active !== false) checkCodeFree(context, chosen, params.customer ?? null);
  const promotionCode: Stripe.PromotionCode = {
    id: newId("promotion_code"),
    object: "promotion_code",
    active: params.active ?? true,
    code: chosen,
    created: context.now,
    customer: params.customer ?? null,
    customer_account: null,
    expires_at: params.expires_at ?? null,
    livemode: false,
    max_redemptions: params.max_redemptions ?? null,
    metadata: changedMetadata({}, params.metadata),
    promotion: { coupon: coupon.id, type: "coupon" },
    restrictions: {
      first_time_transaction: params.restrictions?.first_time_transaction ?? false,
      minimum_amount: minimum_amount ?? null,
      minimum_amount_currency: minimum_amount_currency ?? null,
    },
    times_redeemed: 0,
  };
  context.store.put("promotion_code", promotionCode);
  if (promotionCode.expires_at !== null) {
    const wait = (promotionCode.expires_at - context.now) * 1000;
    context.schedule("lapse_promotion_code", promotionCode.id, wait);
  }
  context.emit("promotion_code.created", promotionCode);
  return promotionCode;
}

/** Refuses to make a code active again that could not be redeemed. */
function checkReactivation(context: Context, promotionCode: Stripe.PromotionCode): void {
  const { expires_at, max_redemptions, times_redeemed } = promotionCode;
  const coupon = context.store.get("coupon", idOf(promotionCode.promotion.coupon) ?? "");
  const spent = max_redemptions !== null && times_redeemed >= max_redemptions;
  if (coupon === undefined || spent || (expires_at !== null && expires_at <= context.now)) {
    throw invalidRequest("This promotion code can no longer be redeemed, and not be made active.", "active");
  }
  checkRedeemable(context, coupon, "active");
  checkCodeFree(context, promotionCode.code, idOf(promotionCode.customer));
}

/** `/v1/coupons` and `/v1/promotion_codes` */
export const couponRoutes: Route[] = [
  route("POST", "/v1/coupons", couponParams, createCoupon),
  route("GET", "/v1/coupons/:id", noParams, (context, _params, id) => need(context, "coupon", id)),
  route(
    "POST",
    "/v1/coupons/:id",
    paramsOf<Stripe.CouponUpdateParams>()({ metadata, name: text(40) }, {
      unsupported: ["currency_options"],
    }),
    (context, params, id) => {
      const coupon = need(context, "coupon", id);
      const changed: Stripe.Coupon = {
        ...coupon,
        metadata: changedMetadata(coupon.metadata ?? {}, params.metadata),
        name: params.name ?? coupon.name,
      };
      context.store.put("coupon", changed);
      context.emit("coupon.updated", changed, coupon);
      return changed;
    },
  ),
  route("DELETE", "/v1/coupons/:id", noParams, (context, _params, id) => {
    const coupon = need(context, "coupon", id);
    context.store.remove("coupon", id);
    endCodesOf(context, id);
    context.emit("coupon.deleted", coupon);
    return { id, object: "coupon", deleted: true };
  }),
  listRoute("/v1/coupons", "coupon", paramsOf<Stripe.CouponListParams>()(datedListParams)),
  route("POST", "/v1/promotion_codes", promotionCodeParams, createPromotionCode),
  route(
    "GET",
    "/v1/promotion_codes/:id",
    noParams,
    (context, _params, id) => need(context, "promotion_code", id),
  ),
  route(
    "POST",
    "/v1/promotion_codes/:id",
    paramsOf<Stripe.PromotionCodeUpdateParams>()({ active: truth, metadata }, {
      unsupported: ["restrictions"],
    }),
    (context, params, id) => {
      const before = need(context, "promotion_code", id);
      if (params.active === true && !before.active) checkReactivation(context, before);
      const changed: Stripe.PromotionCode = {
        ...before,
        active: params.active ?? before.active,
        metadata: changedMetadata(before.metadata ?? {}, params.metadata),
      };
      context.store.put("promotion_code", changed);
      context.emit("promotion_code.updated", changed, before);
      return changed;
    },
  ),
  listRoute(
    "/v1/promotion_codes",
    "promotion_code",
    paramsOf<Stripe.PromotionCodeListParams>()({
      ...datedListParams,
      active: truth,
      code: text(500),
      coupon: text(),
      customer: text(),
    }, { unsupported: ["customer_account"] }),
    { coupon: "promotion.coupon" },
  ),
];
