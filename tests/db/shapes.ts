/** Shapes of answers: which fields there are, and which of them are never null. */
import assert from "node:assert/strict";
import type { Checkout } from "../../supabase/functions/_shared/database/checkout.ts";
import type { DisputeEvidence } from "../../supabase/functions/_shared/database/disputes.ts";
import type { EventOutcome } from "../../supabase/functions/_shared/database/events.ts";
import type {
  AlertMessage,
  Notification,
  ShopSettings,
} from "../../supabase/functions/_shared/database/notifications.ts";
import type { OrderStatus } from "../../supabase/functions/_shared/database/orders.ts";
import type { MetricFamily } from "../../supabase/functions/_shared/database/health.ts";
import type { RedrivenItem } from "../../supabase/functions/_shared/database/jobs.ts";
import type { Money } from "../../supabase/functions/_shared/stripe/money.ts";
import type { Address } from "../../supabase/functions/_shared/stripe_events/facts.ts";

/** A shape to compare with: `set` is never null, `null` may be; an object or a list of them is looked into. */
export type Shape<T> = { [K in keyof T]-?: Part<T[K]> };
type Part<V> = [V] extends [null] ? "null"
  : null extends V ? Inner<NonNullable<V>, "null", true>
  : Inner<V, "set", false>;
type Inner<V, Leaf extends "set" | "null", Nullable extends boolean> = V extends readonly (infer E)[]
  ? E extends object ? { each: Shape<E> } : Leaf
  : V extends object
    ? string extends keyof V ? Leaf : Nullable extends true ? { orNull: Shape<V> } : { is: Shape<V> }
  : Leaf;

type AnyPart = "set" | "null" | { each: AnyShape } | { orNull: AnyShape } | { is: AnyShape };
type AnyShape = { [name: string]: AnyPart };

export function check<T>(value: unknown, shape: Shape<T>, path: string): void {
  compare(value, shape as AnyShape, path);
}

function compare(value: unknown, shape: AnyShape, path: string): void {
  assert(typeof value === "object" && value !== null, path);
  assert.deepEqual(Object.keys(value).sort(), Object.keys(shape).sort(), path);
  for (const [name, field] of Object.entries(value)) {
    const part = shape[name] ?? "set", at = `${path}.${name}`;
    const mayBeNull = part === "null" || (typeof part === "object" && "orNull" in part);
    if (field === null && mayBeNull) continue;
    assert.notEqual(field, null, at);
    if (typeof part === "string") continue;
    if (!("each" in part)) compare(field, "is" in part ? part.is : part.orNull, at);
    else {
      assert(Array.isArray(field) && field.length > 0, `${at} has nothing in it to look at`);
      for (const item of field) compare(item, part.each, at);
    }
  }
}

export const checkoutShape: Shape<Checkout> = {
  outcome: "set",
  order_id: "set",
  order_number: "set",
  account_id: "null",
  shop_id: "set",
  terms_version: "null",
  attempt: "set",
  currency: "set",
  amount_subtotal: "set",
  session_expires_at: "set",
  email: "null",
  locale: "null",
  stripe_customer_id: "null",
  customer: { orNull: { id: "set", email: "null", generation: "set" } },
  customer_email: "null",
  customer_email_change: "null",
  cart_hash: "set",
  three_d_secure: "null",
  prices_include_tax: "set",
  country: "null",
  shipping_rates: {
    each: {
      id: "set",
      name: "set",
      amount: "set",
      countries: "null",
      delivery_days_min: "null",
      delivery_days_max: "null",
      tax_code: "null",
    },
  },
  items: {
    each: {
      variant_id: "set",
      sku: "set",
      name: "set",
      description: "null",
      image_url: "null",
      quantity: "set",
      unit_amount: "set",
      tax_code: "null",
    },
  },
  session: { orNull: { id: "set", url: "null", status: "set", expires_at: "set" } },
};
const lineShape = { sku: "set", name: "set", quantity: "set", unit_amount: "set" } as const;
const moneyShape: Shape<Money> = { amount: "set", currency: "set" };
const piecesShape = { sku: "set", name: "set", quantity: "set" } as const;
export const orderStatusShape: Shape<OrderStatus> = {
  order_number: "set",
  status: "set",
  fulfillment_status: "set",
  currency: "set",
  amount_subtotal: "set",
  amount_discount: "set",
  amount_shipping: "set",
  amount_tax: "set",
  amount_total: "set",
  amount_refunded: "set",
  items: { each: lineShape },
  paid_at: "null",
  presentment: { orNull: moneyShape },
  shipments: {
    each: {
      parcel: "set",
      carrier: "null",
      tracking_number: "null",
      tracking_url: "null",
      shipped_at: "set",
      items: { each: piecesShape },
    },
  },
  returns: { each: { status: "set", items: { each: piecesShape } } },
  refunds: {
    each: { amount: "set", status: "set", created_at: "set", presentment: { orNull: moneyShape } },
  },
  live_topic: "set",
  order_id: "set",
  session_id: "null",
  settled: "set",
};
const addressShape: Shape<Address> = {
  line1: "null",
  line2: "null",
  city: "null",
  state: "null",
  postal_code: "null",
  country: "null",
};
export const shopShape: Shape<ShopSettings> = {
  name: "set",
  sender_name: "null",
  logo_url: "null",
  order_url: "null",
  returns_url: "null",
  privacy_url: "null",
  admin_order_url: "null",
  runbook_url: "null",
  accent_color: "set",
  contact_email: "null",
  postal_address: "null",
  locale: "set",
  time_zone: "set",
  statement_descriptor: "null",
};
export const eventShape: Shape<EventOutcome> = {
  outcome: "set",
  reason: "null",
  delivery_count: "set",
  order_ids: "null",
  closing_sessions: "null",
};

export const disputeEvidenceShape: Shape<DisputeEvidence> = {
  dispute: { is: { id: "set", status: "set", reason: "set", network_reason_code: "null" } },
  order: {
    orNull: {
      shop_name: "set",
      number: "set",
      email: "null",
      customer_name: "null",
      phone: "null",
      user_id: "null",
      purchase_ip: "null",
      user_agent: "null",
      billing_address: { orNull: addressShape },
      shipping_name: "null",
      shipping_address: { orNull: addressShape },
      currency: "set",
      amount_subtotal: "set",
      amount_discount: "set",
      amount_shipping: "set",
      amount_tax: "set",
      amount_total: "set",
      amount_refunded: "set",
      presentment: { orNull: moneyShape },
      created_at: "set",
      paid_at: "null",
      shipments: { each: { carrier: "null", tracking_number: "null", shipped_at: "set" } },
      items: { each: lineShape },
      mails: { each: { template: "set", recipient: "null", sent_at: "set" } },
      payment: {
        orNull: {
          charge_id: "null",
          card_brand: "null",
          card_last4: "null",
          three_d_secure_result: "null",
          risk_level: "null",
        },
      },
      terms: {
        orNull: { version: "null", accepted_at: "set", refund_policy: "null", cancellation_policy: "null" },
      },
      money_back: {
        is: {
          refunds: { each: { amount: "set", currency: "set", succeeded_at: "set" } },
          returns: { each: { requested_at: "set", received_at: "null" } },
        },
      },
      twin: {
        orNull: {
          number: "set",
          paid_at: "set",
          amount_paid: "set",
          currency: "set",
          charge_id: "set",
          shipping_name: "null",
          shipping_address: { orNull: addressShape },
          description: "null",
          parcels: "null",
        },
      },
      earlier_orders: {
        each: {
          number: "set",
          paid_at: "set",
          amount_paid: "set",
          currency: "set",
          charge_id: "set",
          email: "null",
          purchase_ip: "null",
          shipping_address: { orNull: addressShape },
          user_id: "null",
          description: "null",
          days_before: "set",
          same_ip: "set",
          same_address: "set",
          same_account: "set",
        },
      },
    },
  },
};

export const notificationShape: Shape<Notification> = {
  id: "set",
  order_id: "set",
  template: "set",
  recipient: "null",
  recipient_hmac: "null",
  suppression: "null",
  is_sent: "set",
  is_reminder: "set",
  status: "set",
  data: "set",
  problem: "null",
  order: {
    is: {
      number: "set",
      status: "set",
      fulfillment_status: "set",
      currency: "set",
      amount_subtotal: "set",
      amount_discount: "set",
      amount_shipping: "set",
      amount_tax: "set",
      amount_total: "set",
      amount_refunded: "set",
      amount_paid: "set",
      presentment: { orNull: moneyShape },
      customer_name: "null",
      shipping_name: "null",
      shipping_address: { orNull: addressShape },
      billing_address: { orNull: addressShape },
      shipping_method: "null",
      locale: "null",
      created_at: "set",
      paid_at: "null",
      card: { orNull: { brand: "null", last4: "null" } },
      business: { orNull: { name: "null", tax_ids: { each: { type: "set", value: "set" } } } },
      decline: {
        orNull: { failure_code: "null", decline_code: "null", advice_code: "null", method: "null" },
      },
      items: { each: { ...lineShape, image_url: "null" } },
    },
  },
  shop: { is: shopShape },
};

export const alertMessageShape: Shape<AlertMessage> = {
  outcome: "set",
  over: "set",
  kind: "set",
  severity: "set",
  count: "set",
  first_at: "set",
  last_at: "set",
  alert_ids: "set",
  alerts: {
    each: {
      id: "set",
      kind: "set",
      severity: "set",
      dedupe_key: "set",
      status: "set",
      count: "set",
      first_at: "set",
      last_at: "set",
      data: "set",
      told_at: "null",
      over_told_at: "null",
    },
  },
  shop: { is: shopShape },
};

/** What `getMetrics()` answers: each family whole, each sample with its labels and figures. */
export function checkMetrics(families: MetricFamily[]): void {
  for (const { samples, ...family } of families) {
    const { type, counted_by: by } = family;
    check<Omit<MetricFamily, "samples">>(family, {
      name: "set",
      type: "set",
      unit: "null",
      help: "set",
      labels: "set",
      bounds: "null",
      counted_by: "set",
    }, "getMetrics()");
    assert.equal(type === "histogram", family.bounds !== null, family.name);
    for (const [labels, ...figures] of samples) {
      assert.equal(labels.length, family.labels.length, family.name);
      assert.deepEqual(figures.map((figure) => typeof figure), ["number", "number", "number"], family.name);
    }
    assert(by !== "health" || samples.length === 0, family.name);
  }
}

/** A selection of `redrive()` that selects nothing. */
export const nothing = { p_event_ids: [], p_job_ids: [], p_type: null, p_all: false, p_again: false };

/** What `redrive()` answers to one id. */
export function checkRedriven(items: RedrivenItem[]): void {
  assert.equal(items.length, 1);
  for (const item of items) {
    check<RedrivenItem>(item, {
      what: "set",
      id: "set",
      type: "null",
      status: "set",
      error: "null",
      redriven: "set",
      problem: "null",
    }, "redrive()");
  }
}
