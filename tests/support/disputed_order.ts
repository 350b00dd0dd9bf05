/** A disputed order of which everything is known. */
import type { DisputedOrder } from "../../supabase/functions/_shared/database/disputes.ts";

export const address = {
  line1: "48 Alder Street",
  line2: null,
  city: "Portland",
  state: "OR",
  postal_code: "97205",
  country: "US",
};

export const parcel = { carrier: "UPS", tracking_number: "1Z999", shipped_at: "2026-11-03T08:00:00+00:00" };
export const order: DisputedOrder = {
  shop_name: "KCT Menswear",
  number: "KCT-100007",
  email: "ada@example.com",
  customer_name: "Ada Turner",
  phone: null,
  user_id: "6f1c2b9e-4c57-4c0f-9d6e-0a5d3a1b7c42",
  purchase_ip: "203.0.113.24",
  user_agent: "Mozilla/5.0",
  billing_address: address,
  shipping_name: "Ada Turner",
  shipping_address: address,
  currency: "usd",
  amount_subtotal: 25_800,
  amount_discount: 1_000,
  amount_shipping: 1_000,
  amount_tax: 0,
  amount_total: 25_800,
  amount_refunded: 0,
  presentment: null,
  created_at: "2026-11-01T10:00:00+00:00",
  paid_at: "2026-11-01T10:05:00+00:00",
  shipments: [parcel],
  items: [{ sku: "COAT-GRY-L", name: "Coat – Grey, L", quantity: 2, unit_amount: 12_900 }],
  mails: [{
    template: "order_confirmation",
    recipient: "ada@example.com",
    sent_at: "2026-11-01T10:06:00+00:00",
  }],
  payment: {
    charge_id: "ch_1",
    card_brand: "visa",
    card_last4: "4242",
    three_d_secure_result: "authenticated",
    risk_level: "normal",
  },
  terms: null,
  money_back: { refunds: [], returns: [] },
  twin: null,
  earlier_orders: [],
};
