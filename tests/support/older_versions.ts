/**
 * Tells an event as an endpoint with an older API version gets it. Written from Stripe's changelog
 * (https://docs.stripe.com/changelog), not from the translators that read it.
 */
import type Stripe from "stripe";

/** One version of each shape since 2018; an endpoint may be pinned to any. */
export const olderVersions = [
  "2018-11-08",
  "2019-12-03",
  "2020-08-27",
  "2022-11-15",
  "2024-06-20",
  "2024-10-28.acacia",
] as const;

type Json = Record<string, unknown>;

/**
 * The event as an endpoint of `version` gets it, or null where that version sends none. `before` are the events that
 * came before it: older shapes carry objects of theirs.
 */
export function toldIn(
  event: Stripe.Event,
  version: string,
  before: readonly Stripe.Event[] = [],
): Stripe.Event | null {
  const told = structuredClone(event) as unknown as {
    type: string;
    api_version: string;
    data: { object: Json };
  };
  told.api_version = version;
  const { object } = told.data;
  if (told.type.startsWith("refund.") && version < "2024-10-28") {
    // Refunds of cards had no event of their own, only later changes did, under this name.
    if (told.type === "refund.created") return null;
    told.type = "charge.refund.updated";
  }
  switch (object["object"]) {
    case "checkout.session":
      olderSession(object, version);
      break;
    case "payment_intent":
      olderIntent(object, version, before);
      break;
    case "charge":
      olderCharge(object, version, before);
      break;
  }
  return told as unknown as Stripe.Event;
}

function olderSession(session: Json, version: string): void {
  const collected = session["collected_information"] as { shipping_details?: unknown } | null | undefined;
  if (version < "2025-03-31") {
    session["shipping_details"] = collected?.shipping_details ?? null;
    delete session["collected_information"];
    delete session["presentment_details"];
  }
  if (version < "2022-08-01") {
    session["shipping"] = session["shipping_details"];
    delete session["shipping_details"];
    delete session["shipping_cost"];
  }
  if (version < "2020-08-27") {
    session["display_items"] = [{
      amount: session["amount_subtotal"],
      currency: session["currency"],
      quantity: 1,
      type: "custom",
    }];
  }
}

const olderStatus: Json = {
  requires_payment_method: "requires_source",
  requires_action: "requires_source_action",
};

function olderIntent(intent: Json, version: string, before: readonly Stripe.Event[]): void {
  if (version < "2022-11-15") {
    const charges = objectsOf(before, "charge").filter((charge) => charge["payment_intent"] === intent["id"])
      .map((charge) => {
        const older = structuredClone(charge);
        olderCharge(older, version, []);
        return older;
      });
    intent["charges"] = { object: "list", data: charges.reverse(), has_more: false };
    delete intent["latest_charge"];
  }
  if (version < "2019-02-11") intent["status"] = olderStatus[String(intent["status"])] ?? intent["status"];
}

function olderCharge(charge: Json, version: string, before: readonly Stripe.Event[]): void {
  if (version < "2022-11-15") {
    const refunds = objectsOf(before, "refund").filter((refund) => refund["charge"] === charge["id"]);
    charge["refunds"] = { object: "list", data: refunds.reverse(), has_more: false };
  }
  const details = charge["payment_method_details"] as { card?: { three_d_secure?: Json | null } } | undefined;
  const secure = details?.card?.three_d_secure ?? null;
  if (version < "2020-08-27" && secure !== null) {
    secure["authenticated"] = secure["result"] === "authenticated";
    secure["succeeded"] = secure["result"] !== "failed";
    delete secure["result"];
  }
}

/** The objects of a kind that events told of, each once, as it was told first. */
function objectsOf(events: readonly Stripe.Event[], kind: string): Json[] {
  const objects = events.map((event) => event.data.object as unknown as Json)
    .filter((object) => object["object"] === kind);
  return [...new Map(objects.toReversed().map((object) => [object["id"], object])).values()].toReversed();
}
