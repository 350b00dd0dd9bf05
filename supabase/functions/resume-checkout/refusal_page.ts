/** What a person reads when a link leads nowhere. Plain text: Supabase's default domain serves no HTML. */

const texts: Record<string, string> = {
  invalid_request: "This link is not complete. Please open it again from the mail, or copy all of it.",
  link_expired: "This link has expired. You are welcome to order again in the shop.",
  order_not_found: "We do not know this order any more. You are welcome to order again in the shop.",
  insufficient_stock: "Sorry, something in this order is sold out by now, so nothing was charged.",
  conflict: "This order has been cancelled, so nothing was charged.",
  checkout_refused:
    "Sorry, this order cannot be paid online right now; nothing was charged, and we have been told.",
  rate_limited: "That was a bit fast. Please wait a minute and open the link again.",
  velocity_exceeded: "This order cannot be paid right now. Please open the link again in an hour or so.",
  stripe_unavailable: "The payment page cannot be opened right now. Please open the link again in a minute.",
  database_unavailable: "The shop cannot be reached right now. Please open the link again in a minute.",
};
const otherwise = "Something went wrong on our side. Please open the link again in a minute.";

interface Refusal {
  code: string;
  details?: { sku?: string; requested?: number; available?: number }[];
}

/** Turns a JSON refusal into a page when a browser navigates; anything else stays as it is. */
export async function readable(request: Request, answer: Response, siteUrl: string): Promise<Response> {
  if (
    answer.status < 400 || request.method === "HEAD" ||
    request.headers.get("accept")?.includes("text/html") !== true
  ) return answer;
  const { error } = await answer.json() as { error: Refusal };
  const headers = new Headers(answer.headers);
  headers.set("content-type", "text/plain; charset=utf-8");
  return new Response(page(error, siteUrl), { status: answer.status, headers });
}

function page({ code, details }: Refusal, siteUrl: string): string {
  const lines = code === "insufficient_stock" && Array.isArray(details)
    ? details.map(({ sku, requested, available }) =>
      `  ${sku}: you ordered ${requested}, ${available === 0 ? "none is" : `${available} are`} left`
    )
    : [];
  return [
    texts[code] ?? otherwise,
    ...(lines.length > 0 ? ["", ...lines] : []),
    "",
    `To the shop: ${siteUrl}`,
    "",
  ]
    .join("\n");
}
