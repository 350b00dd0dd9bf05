/**
 * Keys that a provider makes and checks: a person makes a second one there, and deletes the first there once the
 * functions use the second. It is tried before anything is changed, and the first must be refused in the end.
 */
import type { Env } from "../../../supabase/functions/_shared/env.ts";
import { readEndpoints, webhookUrl } from "../../../supabase/functions/_shared/jobs/webhook_endpoints.ts";
import { createStripe, stripeErrorOf } from "../../../supabase/functions/_shared/stripe/client.ts";
import { checkPermissions } from "../doctor/permissions.ts";
import { envWith, SetupError } from "../setup/project.ts";
import { type RotateContext, type Rotation, single, workerMs } from "./rotation.ts";

/** Whether its provider takes a key; `untold` where it cannot be asked without doing something. */
type Verdict = "taken" | "refused" | "untold";

interface ProviderKey {
  variable: string;
  where: string;
  /** Gives a verdict. @param env what the functions would read with this value. */
  judge(env: Env, ask: typeof fetch): Promise<Verdict>;
  /** What else is wrong with a new value that is taken; null: nothing. */
  flaw?(context: RotateContext, value: string): Promise<string | null>;
}

const timeoutMs = 15_000;

/** Each with the cheapest call that does nothing. */
const providerKeys: ProviderKey[] = [
  {
    variable: "STRIPE_SECRET_KEY",
    where: "Stripe's dashboard (Developers, API keys)",
    judge: async ({ stripeSecretKey, stripeApiBase }) => {
      try {
        await createStripe({ stripeSecretKey, stripeApiBase }).webhookEndpoints.list({ limit: 1 });
        return "taken";
      } catch (error) {
        const status = stripeErrorOf(error)?.statusCode;
        if (status === 401) return "refused";
        if (status === 403) return "taken";
        throw error;
      }
    },
    flaw: stripeFlaw,
  },
  {
    variable: "RESEND_API_KEY",
    where: "Resend (API keys)",
    judge: async ({ resend }, ask) => {
      const answer = await called(ask, `${resend?.apiBase}/domains`, {
        authorization: `Bearer ${resend?.apiKey}`,
      });
      // A key that may only send is told so, one that does not exist is told something else.
      if (answer.ok || answer.text.includes("restricted_api_key")) return "taken";
      return answer.status < 500 && answer.status !== 429 ? "refused" : "untold";
    },
  },
  {
    variable: "POSTMARK_SERVER_TOKEN",
    where: "Postmark (the server's API tokens)",
    judge: async ({ postmark }, ask) =>
      verdictOf(
        await called(ask, "https://api.postmarkapp.com/server", {
          "x-postmark-server-token": postmark?.serverToken ?? "",
        }),
      ),
  },
  {
    variable: "UPSTASH_REDIS_REST_TOKEN",
    where: "Upstash (the database's credentials), which ends the old one at once: Postgres counts meanwhile",
    judge: async ({ upstash }, ask) =>
      verdictOf(
        await called(ask, `${upstash?.url}/`, { authorization: `Bearer ${upstash?.token}` }, '["PING"]'),
      ),
  },
  {
    variable: "CHECKOUT_TURNSTILE_SECRET",
    where: "Cloudflare (Turnstile, the widget, Rotate secret key), which ends the old one after two hours",
    judge: async ({ checkout: { turnstile } }, ask) => {
      const body = JSON.stringify({ secret: turnstile?.secret, response: "rotate" });
      const { text } = await called(ask, turnstile?.url ?? "", { "content-type": "application/json" }, body);
      if (!text.includes("error-codes")) return "untold";
      return text.includes("invalid-input-secret") ? "refused" : "taken";
    },
  },
  {
    variable: "OTEL_EXPORTER_OTLP_HEADERS",
    where: "the collector",
    judge: async ({ collector }, ask) => {
      if (collector === null) return "untold";
      const headers = { ...collector.headers, "content-type": "application/json" };
      return verdictOf(await called(ask, collector.url, headers, '{"resourceSpans":[]}'));
    },
  },
  {
    variable: "ALERT_WEBHOOK_URL",
    where: "whoever takes the alerts; 'deno task doctor --alert' tries the new one",
    judge: () => Promise.resolve("untold"),
  },
];

/** How each of them is rotated. */
export const providerKeyRotations: Rotation[] = providerKeys.map(rotationOf);

function rotationOf({ variable, where, judge, flaw }: ProviderKey): Rotation {
  const verdict = ({ project, fetch: ask }: RotateContext, value: string) =>
    judge(envWith(project, { [variable]: value }), ask);
  return {
    variable,
    shape: single,
    checkedHere: false,
    finishAfterMs: workerMs,
    says: {
      obtain: "take a second key, try it, and keep it",
      use: "give it to the functions",
      retire: "forget the first key",
      hand: `delete the first key at ${where}`,
    },
    async obtain(context, { old }, keep) {
      context.say(`Make a second key at ${where}`);
      const value = (await context.ask(variable)).trim();
      if (value === "" || value === old) {
        throw new SetupError(`That is no new ${variable}: the functions keep the first`);
      }
      if (await verdict(context, value) === "refused") {
        throw new SetupError(`This ${variable} is not taken there: the functions keep the first`);
      }
      const problem = await flaw?.(context, value) ?? null;
      if (problem !== null) throw new SetupError(`${problem}: the functions keep the first`);
      await keep(value);
    },
    async unproved(context, { old }) {
      if (await verdict(context, context.project.values[variable] ?? "") === "refused") {
        return `the new ${variable} is not taken any more: make another one, and begin again after --back`;
      }
      return await verdict(context, old) === "taken"
        ? `the first key is still taken: delete it at ${where}`
        : null;
    },
    async undo(context, { old, stage }) {
      if (stage !== "begun" && await verdict(context, old) === "refused") {
        throw new SetupError(`The first ${variable} is not taken any more: there is no way back to it`);
      }
    },
  };
}

/** It must be of this account, and may do what the functions do. */
async function stripeFlaw({ project }: RotateContext, value: string): Promise<string | null> {
  const env = envWith(project, { STRIPE_SECRET_KEY: value });
  const stripe = createStripe(env);
  const findings = await checkPermissions({ env, stripe, kind: "project" });
  const wrong = findings.find(({ level, unseen }) => level === "error" || unseen === true);
  if (wrong !== undefined) return `${wrong.what} (${wrong.fix})`;
  const url = webhookUrl(env.supabaseUrl);
  const idsOf = async (key: ReturnType<typeof createStripe>) => {
    const { current, surplus, disabled } = await readEndpoints(key, url);
    return [current, ...surplus, ...disabled].map((endpoint) => endpoint?.id ?? "").sort().join();
  };
  try {
    return await idsOf(stripe) === await idsOf(createStripe(project.env))
      ? null
      : "this key belongs to another account: it does not see our webhook endpoint";
  } catch (error) {
    // The first one may be revoked already.
    if (stripeErrorOf(error)?.statusCode === 401) return null;
    throw error;
  }
}

interface Answered {
  ok: boolean;
  status: number;
  text: string;
}

async function called(
  ask: typeof fetch,
  url: string,
  headers: Record<string, string>,
  body?: string,
): Promise<Answered> {
  const response = await ask(url, {
    headers,
    signal: AbortSignal.timeout(timeoutMs),
    ...(body === undefined ? {} : { method: "POST", body }),
  });
  return { ok: response.ok, status: response.status, text: await response.text() };
}

function verdictOf({ ok, status }: Answered): Verdict {
  return ok ? "taken" : status === 401 || status === 403 ? "refused" : "untold";
}
