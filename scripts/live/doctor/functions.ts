/** Whether each function is there, and no gateway asks for a token before it is reached. */
import { functionNames } from "../setup/bundle.ts";
import { error, type Finding, ok, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

const timeoutMs = 15_000;
/** No shop is there (RFC 2606). */
const strangerOrigin = "https://stranger.invalid";
/** Stripe's signatures may be five minutes old; what is read by time should not be off by a part of that. */
const clockLimitSeconds = 60;

/** Asks each function in a way that it refuses before it does anything. */
export async function checkFunctions({ env, kind }: Subject): Promise<Finding[]> {
  const names = await functionNames();
  const answers = await Promise.all(
    names.map((name) => ask(`${env.supabaseUrl}/functions/v1/${name}`).then((answer) => ({ name, answer }))),
  );
  const findings = answers.flatMap(({ name, answer }) => judgeFunction(name, answer, kind));
  const dates = answers.flatMap(({ answer }) => answer?.date ?? []);
  return [
    ...(findings.length > 0 ? findings : [ok(`${names.length} functions answer for themselves`)]),
    ...judgeClock(dates[0], Date.now()),
  ];
}

export interface Answer {
  status: number;
  /** The function itself has answered. */
  own: boolean;
  date: string | null;
  /** `access-control-allow-origin`, as a page of a stranger is told. */
  allowOrigin?: string | null;
}

/** What an answer says of a function; null: none came. */
export function judgeFunction(name: string, answer: Answer | null, kind: Subject["kind"]): Finding[] {
  if (answer?.own === true) return judgeOrigin(name, answer);
  const fix = kind === "local" ? "look at the gateway's log in $LOCAL_DIR/logs" : "run 'deno task setup'";
  if (answer === null) return [error("function_silent", `the function ${name} does not answer`, fix)];
  if (answer.status === 401) {
    return [
      error(
        "function_verify_jwt",
        `the function ${name} is behind verify_jwt: Stripe, mailboxes and shoppers bring no token`,
        `${fix}, which deploys it as supabase/config.toml says, or switch it off in the dashboard (Edge Functions)`,
      ),
    ];
  }
  if (answer.status === 404) return [error("function_missing", `the function ${name} is not deployed`, fix)];
  return [
    error(
      "function_broken",
      `the function ${name} does not start (${answer.status})`,
      `read its log; ${fix}`,
    ),
  ];
}

function judgeOrigin(name: string, { allowOrigin }: Answer): Finding[] {
  return allowOrigin !== "*" && allowOrigin !== strangerOrigin ? [] : [error(
    "cors_open",
    `the function ${name} lets the pages of every site call it (${allowOrigin})`,
    "find what adds the header: a proxy in front, or changed code; ALLOWED_ORIGINS alone decides",
  )];
}

/** How far this machine's clock is from the project's. */
export function judgeClock(date: string | null | undefined, now: number): Finding[] {
  const there = Date.parse(date ?? "");
  if (Number.isNaN(there)) return [];
  const seconds = Math.round(Math.abs(there - now) / 1000);
  return seconds <= clockLimitSeconds ? [] : [
    warning(
      "clock_skew",
      `this machine's clock and the project's differ by ${seconds} s`,
      "set this one by NTP: what is reconciled and signed here goes by it",
    ),
  ];
}

/** No function takes DELETE, so all of them refuse it at once. */
async function ask(url: string): Promise<Answer | null> {
  try {
    const response = await fetch(url, {
      method: "DELETE",
      headers: { origin: strangerOrigin },
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    const { status, headers } = response;
    return {
      status,
      own: headers.has("x-request-id"),
      date: headers.get("date"),
      allowOrigin: headers.get("access-control-allow-origin"),
    };
  } catch {
    return null;
  }
}
