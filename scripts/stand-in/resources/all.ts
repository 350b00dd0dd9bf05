import type { Context } from "../core/context.ts";
import type { Includable } from "../core/expand.ts";
import { need } from "../core/context.ts";
import { paramsOf } from "../core/fields.ts";
import { listObject, type Route, route } from "../core/router.ts";
import { needInternals } from "../checkout/pay_session.ts";
import { breakdown, totalsOf } from "../checkout/totals.ts";
import { balanceRoutes } from "./balance.ts";
import { chargeRefunds, chargeRoutes } from "./charges.ts";
import { checkoutSessionRoutes, sessionLineItems } from "./checkout_sessions.ts";
import { cliSessionRoutes } from "./cli_sessions.ts";
import { couponRoutes } from "./coupons.ts";
import { customerRoutes } from "./customers.ts";
import { disputeRoutes } from "./disputes.ts";
import { eventRoutes, type Resend } from "./events.ts";
import { fileLinkRoutes } from "./file_links.ts";
import { fileRoutes } from "./files.ts";
import { paymentIntentRoutes } from "./payment_intents.ts";
import { linkLineItems, paymentLinkRoutes } from "./payment_links.ts";
import { paymentMethodRoutes } from "./payment_methods.ts";
import { paymentPageRoutes } from "./payment_pages.ts";
import { priceOptions, priceRoutes } from "./prices.ts";
import { productRoutes } from "./products.ts";
import { radarRoutes } from "./radar.ts";
import { refundRoutes } from "./refunds.ts";
import { searchRoutes } from "./search.ts";
import { setupIntentRoutes } from "./setup_intents.ts";
import { shippingRateOptions, shippingRateRoutes } from "./shipping_rates.ts";
import { taxRateRoutes } from "./tax_rates.ts";
import { tokenRoutes } from "./tokens.ts";
import { type EndpointHost, webhookEndpointRoutes } from "./webhook_endpoints.ts";

/** The account behind every key, for clients that ask who they are. */
const accountRoute: Route = route("GET", "/v1/account", paramsOf<unknown>()({}), (context) => ({
  id: "acct_1StandInAccount00",
  object: "account",
  business_profile: { name: "KCT Menswear", url: null },
  charges_enabled: true,
  country: "US",
  created: context.now,
  default_currency: "usd",
  details_submitted: true,
  email: "shop@example.com",
  payouts_enabled: true,
  settings: { dashboard: { display_name: "KCT Menswear", timezone: "Etc/UTC" } },
  type: "standard",
}));

/** Every operation the stand-in has. */
export function allRoutes(
  host: EndpointHost,
  resend: Resend,
  openCliSession: (baseUrl: string) => object,
): Route[] {
  return [
    accountRoute,
    ...balanceRoutes,
    ...chargeRoutes,
    ...cliSessionRoutes(openCliSession),
    ...checkoutSessionRoutes,
    ...couponRoutes,
    ...customerRoutes,
    ...disputeRoutes,
    ...eventRoutes(resend),
    ...fileLinkRoutes,
    ...fileRoutes,
    ...paymentIntentRoutes,
    ...paymentLinkRoutes,
    ...paymentMethodRoutes,
    ...paymentPageRoutes,
    ...priceRoutes,
    ...productRoutes,
    ...radarRoutes,
    ...refundRoutes,
    ...searchRoutes,
    ...setupIntentRoutes,
    ...shippingRateRoutes,
    ...taxRateRoutes,
    ...tokenRoutes,
    ...webhookEndpointRoutes(host),
  ];
}

/** Properties that appear only when expanded. */
export function includable(context: Context): Includable {
  return {
    // Counted by the search itself, which has no id.
    "search_result.total_count": () => null,
    "coupon.applies_to": (id) => ({ products: context.store.internals("coupon", id)?.products ?? [] }),
    "payment_link.line_items": (id) =>
      listObject(`/v1/payment_links/${id}/line_items`, linkLineItems(context, id), false),
    "price.currency_options": (id) => priceOptions(context, id),
    "shipping_rate.fixed_amount.currency_options": (id) => shippingRateOptions(context, id),
    "charge.refunds": (id) => chargeRefunds(context, id),
    "checkout.session.line_items": (id) => sessionLineItems(context, id),
    "checkout.session.total_details.breakdown": (id) => {
      const session = need(context, "checkout.session", id);
      return breakdown(context, session, totalsOf(context, session, needInternals(context, id)));
    },
  };
}
