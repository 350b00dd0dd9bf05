/** Where shoppers were sent to pay. */
import { type Check, emptyResult, noDatabase } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";

/** Every payment page was one of Stripe's, and how many were in frames on the shop's own page. */
export const paymentPage: Check = async ({ sql, subject, kind }) => {
  if (sql === null) return noDatabase;
  if (Array.isArray(subject)) return { ...emptyResult(), notExamined: ["the environment is not complete"] };
  const result = emptyResult();
  const hosts = await sql.unsafe<{ host: string; pages: string }[]>(
    `select substring(url from '^[a-z]+://([^/]+)') as host, count(*)::text as pages from public.checkout_sessions
    where url ~ '://' group by 1 order by 1`,
  );
  const own = [subject.env.siteUrl, ...subject.env.allowedOrigins].map((address) => new URL(address).host);
  for (const { host, pages } of hosts) {
    if (own.includes(host)) {
      result.findings.push({
        where: host,
        what: "payment pages on the shop's own site: SAQ A does not cover them",
      });
    } else if (kind === "project" && host !== "checkout.stripe.com") {
      result.facts.push(
        `${pages} pages on ${host}: a custom domain of Stripe's; see that it still points there`,
      );
    } else result.facts.push(`${pages} pages on ${host}`);
  }
  const framed = await sql.unsafe<{ ui_mode: string; orders: string }[]>(
    `select ui_mode, count(*)::text as orders from public.orders where ui_mode <> 'hosted_page' group by 1 order by 1`,
  );
  for (const { ui_mode, orders } of framed) {
    result.facts.push(
      `${orders} orders by ${ui_mode}, in Stripe's frames on the shop's own page: E7 has to be answered for it`,
    );
  }
  result.examined.push({
    what: "hosts of payment pages",
    items: hosts.length,
    sha256: await sha256(hosts.map(({ host }) => host).join("\n")),
    moves: false,
  });
  return result;
};
