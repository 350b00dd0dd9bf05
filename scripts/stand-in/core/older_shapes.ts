/**
 * Objects as API versions before the stand-in's own show them. The steps follow Stripe's changelog
 * (https://docs.stripe.com/changelog), each going back over one release; what was only added since stays.
 */
import { APRIL_2024, AUGUST_2022, BASIL, CLOVER, DAHLIA, isBefore, NOVEMBER_2022 } from "./api_version.ts";
import { listObject } from "./router.ts";
import type { Store } from "./store.ts";

type Json = Record<string, unknown>;

/** Where objects come from that older versions carried whole. */
export type Source = Pick<Store, "all" | "find">;

interface Step {
  /** Versions before this one need the step. */
  before: string;
  object: string;
  /** Changes an object, or the changed part of one that an event carries, in place. */
  back(object: Json, source: Source): void;
}

const OLD_UI_MODES: Readonly<Record<string, string>> = {
  elements: "custom",
  embedded_page: "embedded",
  hosted_page: "hosted",
};

/** The whole coupon, where newer versions have its id alone. */
function whole(coupon: unknown, source: Source): unknown {
  return typeof coupon === "string" ? source.find(coupon, "coupon") ?? coupon : coupon;
}

/** Moves a coupon out of the hash that holds it since Clover. */
function couponFrom(name: "promotion" | "source"): Step["back"] {
  return (object, source) => {
    const holder = object[name];
    if (!isRecord(holder)) return;
    object.coupon = whole(holder.coupon, source);
    delete object[name];
  };
}

const STEPS: readonly Step[] = [
  {
    before: DAHLIA,
    object: "checkout.session",
    back(session) {
      if (typeof session.ui_mode === "string") {
        session.ui_mode = OLD_UI_MODES[session.ui_mode] ?? session.ui_mode;
      }
    },
  },
  { before: CLOVER, object: "promotion_code", back: couponFrom("promotion") },
  { before: CLOVER, object: "discount", back: couponFrom("source") },
  {
    before: BASIL,
    object: "checkout.session",
    back(session) {
      if (!("collected_information" in session)) return;
      const collected = session.collected_information;
      const details = isRecord(collected) ? collected.shipping_details : null;
      session.shipping_details = isRecord(details)
        ? { ...details, carrier: null, phone: null, tracking_number: null }
        : null;
      if (isRecord(collected)) {
        session.collected_information = { ...collected, shipping_details: session.shipping_details };
      }
    },
  },
  { before: BASIL, object: "charge", back: withoutInvoice },
  { before: BASIL, object: "payment_intent", back: withoutInvoice },
  {
    before: APRIL_2024,
    object: "product",
    back(product) {
      if (!("marketing_features" in product)) return;
      product.features = product.marketing_features;
      delete product.marketing_features;
    },
  },
  {
    before: NOVEMBER_2022,
    object: "payment_intent",
    back(intent, source) {
      if (typeof intent.id !== "string") return;
      const charges = source.all("charge", ["payment_intent", intent.id]);
      intent.charges = listObject(`/v1/charges?payment_intent=${intent.id}`, charges, false);
      delete intent.latest_charge;
    },
  },
  {
    before: NOVEMBER_2022,
    object: "charge",
    back(charge, source) {
      if (typeof charge.id !== "string") return;
      const refunds = source.all("refund", ["charge", charge.id]);
      charge.refunds ??= listObject(`/v1/charges/${charge.id}/refunds`, refunds, false);
    },
  },
  {
    before: AUGUST_2022,
    object: "checkout.session",
    back(session) {
      if ("shipping_details" in session) {
        session.shipping = session.shipping_details;
        delete session.shipping_details;
      }
      if ("shipping_cost" in session) {
        session.shipping_rate = isRecord(session.shipping_cost) ? session.shipping_cost.shipping_rate : null;
        delete session.shipping_cost;
      }
    },
  },
];

/** Whole objects named the invoice they belong to; nothing here belongs to one. */
function withoutInvoice(object: Json): void {
  if ("id" in object) object.invoice = null;
}

function isRecord(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A copy of an answer, as `version` shows it. */
export function asOf<T>(version: string, value: T, source: Source): T {
  const steps = STEPS.filter(({ before }) => isBefore(version, before));
  if (steps.length === 0) return value;
  const copy = structuredClone(value);
  walk(copy, steps, source);
  return copy;
}

function walk(value: unknown, steps: readonly Step[], source: Source): void {
  if (Array.isArray(value)) {
    for (const item of value) walk(item, steps, source);
  } else if (isRecord(value)) {
    // An event keeps the version it was written in.
    if (value.object === "event") return;
    for (const step of steps) {
      if (step.object === value.object) step.back(value, source);
    }
    for (const member of Object.values(value)) walk(member, steps, source);
  }
}

interface Payload {
  api_version: string | null;
  data: { object: object; previous_attributes?: object };
}

/** A copy of an event, as an endpoint of `version` gets it. */
export function eventAsOf<T extends Payload>(version: string, event: T, source: Source): T {
  const { object, previous_attributes: previous } = event.data;
  const kind = isRecord(object) ? object.object : undefined;
  return {
    ...event,
    api_version: version,
    data: {
      ...event.data,
      object: asOf(version, object, source),
      ...(previous === undefined ? {} : { previous_attributes: partAsOf(version, kind, previous, source) }),
    },
  };
}

/** The changed part of an object of this kind. */
function partAsOf(version: string, kind: unknown, part: object, source: Source): object {
  const { object: _object, ...told } = asOf(version, { ...part, object: kind }, source) as Json;
  return told;
}
