/** What create-checkout-session answers; `docs/openapi.json` is generated from it. */
import { z } from "zod";

export const checkoutAnswer = z.strictObject({
  order_id: z.uuid(),
  order_number: z.string(),
  session_id: z.string().regex(/^cs_/),
  url: z.url().describe("Send the shopper there."),
  expires_at: z.int().describe("Epoch seconds until which the page can be paid."),
  currency: z.string().regex(/^[a-z]{3}$/),
  amount_subtotal: z.int().min(0).describe("Minor units, before shipping, tax and discounts."),
});

export type CheckoutAnswer = z.infer<typeof checkoutAnswer>;
