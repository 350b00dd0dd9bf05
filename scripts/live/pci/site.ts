/** The shop's site: the page that sends shoppers to Stripe. */
import { isLoopback } from "../../../supabase/functions/_shared/http/loopback.ts";
import { type Check, type CheckResult, emptyResult, notExamined } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";

const timeoutMs = 15_000;
const pageBytesMax = 2_000_000;

/** What each page should say of itself to the browser, and what is right. */
const HEADERS: { name: string; right: (value: string) => boolean; fix: string }[] = [
  {
    name: "strict-transport-security",
    right: (value) => Number(/max-age=(\d+)/.exec(value)?.[1] ?? 0) >= 15_552_000,
    fix: "send max-age of half a year or more",
  },
  {
    name: "content-security-policy",
    right: (value) => /script-src|default-src/.test(value),
    fix: "say which scripts may run",
  },
  {
    name: "x-content-type-options",
    right: (value) => value.toLowerCase() === "nosniff",
    fix: "send nosniff",
  },
  {
    name: "referrer-policy",
    right: (value) => !/unsafe-url/.test(value),
    fix: "send strict-origin-when-cross-origin",
  },
];

/** Encryption, headers, and that no field takes a card number. TLS below 1.2 and bad certificates fail the connection. */
export const site: Check = async ({ subject, fetch: get }) => {
  if (Array.isArray(subject)) return notExamined("the site: the environment is not complete");
  const address = subject.env.siteUrl;
  if (isLoopback(address)) return notExamined(`the site: SITE_URL is this machine (${address})`);
  const result = emptyResult();
  if (!address.startsWith("https:")) {
    result.findings.push({ where: address, what: "SITE_URL is not https" });
    return result;
  }
  let response: Response;
  try {
    response = await get(address, { signal: AbortSignal.timeout(timeoutMs) });
  } catch (failure) {
    return notExamined(
      `the site: ${address} does not answer from here (${failure instanceof Error ? failure.message : ""})`,
    );
  }
  if (!response.ok) {
    await response.body?.cancel();
    // An error page, or one that keeps robots out: it says nothing of the page that shoppers get.
    return notExamined(`the site: ${address} answers ${response.status}`);
  }
  const page = (await response.text()).slice(0, pageBytesMax);
  const headers = HEADERS.map(({ name }) => `${name}: ${response.headers.get(name) ?? ""}`);
  result.examined.push(
    {
      what: `security headers of ${address}`,
      items: headers.length,
      sha256: await sha256(headers.join("\n")),
      moves: false,
    },
    { what: `the page at ${address}`, items: 1, sha256: await sha256(page), moves: true },
  );
  judgeHeaders(address, response.headers, result);
  if (/autocomplete=["']?cc-(?:number|csc)|name=["']?(?:card_?number|cardnumber|cvc|cvv)\b/i.test(page)) {
    result.findings.push({
      where: address,
      what: "the page has a field for card data: SAQ A is for shops without one",
    });
  }
  const plain = await get(address.replace(/^https:/, "http:"), {
    redirect: "manual",
    signal: AbortSignal.timeout(timeoutMs),
  }).catch(() => null);
  await plain?.body?.cancel();
  if (plain === null) result.facts.push("plain http is not answered");
  else if (plain.status >= 300 && plain.status < 400 && plain.headers.get("location")?.startsWith("https:")) {
    result.facts.push("plain http leads to https");
  } else {result.findings.push({
      where: address,
      what: `plain http answers ${plain.status} instead of leading to https`,
    });}
  return result;
};

function judgeHeaders(address: string, headers: Headers, result: CheckResult): void {
  for (const { name, right, fix } of HEADERS) {
    const value = headers.get(name);
    if (value === null) result.findings.push({ where: address, what: `no header ${name}: ${fix}` });
    else if (right(value)) result.facts.push(`${name}: ${value}`);
    else result.findings.push({ where: address, what: `header ${name} is "${value}": ${fix}` });
  }
  const frames = /frame-ancestors/.test(headers.get("content-security-policy") ?? "");
  if (!frames && !headers.has("x-frame-options")) {
    result.findings.push({
      where: address,
      what: "other sites may frame it: send frame-ancestors in the policy",
    });
  }
}
