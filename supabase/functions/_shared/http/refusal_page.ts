/** What a person reads when a link leads nowhere. Plain text: Supabase's default domain serves no HTML. */

const texts: Record<string, string> = {
  invalid_request: "This link is not complete. Please open it again from the mail, or copy all of it.",
  link_expired: "This link has expired. You are welcome to order again in the shop.",
  order_not_found: "We do not know this order any more. You are welcome to order again in the shop.",
  conflict: "This order has been cancelled, so nothing was charged.",
  rate_limited: "That was a bit fast. Please wait a minute and open the link again.",
  database_unavailable: "The shop cannot be reached right now. Please open the link again in a minute.",
};
const otherwise = "Something went wrong on our side. Please open the link again in a minute.";

/** Turns a JSON refusal into a page when a browser opens a link; anything else stays as it is. */
export async function readable(request: Request, answer: Response, siteUrl: string): Promise<Response> {
  if (
    answer.status < 400 || request.method !== "GET" ||
    request.headers.get("accept")?.includes("text/html") !== true
  ) return answer;
  const { error } = await answer.json() as { error: { code: string } };
  const headers = new Headers(answer.headers);
  headers.set("content-type", "text/plain; charset=utf-8");
  return new Response(`${texts[error.code] ?? otherwise}\n\nTo the shop: ${siteUrl}\n`, {
    status: answer.status,
    headers,
  });
}
