/** A whole shop in one process: its database, API, functions, Stripe and the mail provider, on one wire. */
import { join } from "node:path";
import postgres from "postgres";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { enabledEvents } from "../../../supabase/functions/_shared/stripe_events/mod.ts";
import { stripeApiVersion } from "../../../supabase/functions/_shared/stripe/api_version.ts";
import { keyPermissions } from "../../../supabase/functions/_shared/stripe/permissions.ts";
import { SUPABASE_DIR } from "../../lib/paths.ts";
import { connect } from "../../lib/connection.ts";
import { defaultFunctionEnv } from "../../local/function_env.ts";
import { identify } from "../../local/gateway/caller.ts";
import { LocalKeys } from "../../local/gateway/keys.ts";
import { readProjectConfig } from "../../local/gateway/project_config.ts";
import { createRest } from "../../local/gateway/rest/handler.ts";
import type { StackKeys } from "../../local/keys.ts";
import type { Mail, MailStore } from "../../local/web/mail_store.ts";
import { mailReporter } from "../../local/web/mail_reports.ts";
import { resendStandIn } from "../../local/web/resend.ts";
import { createStripe } from "../../stand-in/server.ts";
import type { WorldDatabase } from "./database.ts";
import { Functions } from "./functions.ts";
import { beginning, type Kernel } from "./kernel.ts";
import { Network, type Server } from "./network.ts";

/** Where everybody answers. Nobody listens there: these are names. */
export const origins = {
  api: "http://127.0.0.1:54321",
  stripe: "http://127.0.0.1:12111",
  web: "http://127.0.0.1:54323",
} as const;

/** What Stripe takes days for, and how it repeats what was not taken: hours at first, three days in all. */
const minute = 60_000;
const pace = {
  retryDelaysMs: [minute, 5 * minute, 30 * minute, 120 * minute, 300 * minute, 600 * minute],
  disableAfterMs: 9 * 24 * 60 * minute,
  giveUpAfterMs: 3 * 24 * 60 * minute,
  deliveryTimeoutMs: 20_000,
  refundMs: 20 * minute,
  bankDebitMs: 120 * minute,
  disputeMs: 60 * minute,
  payoutMs: null,
};

export interface Shop {
  kernel: Kernel;
  network: Network;
  functions: Functions;
  keys: Omit<StackKeys, "jwt_private_key">;
  /** What staff show the API. */
  staffToken: string;
  /** What a shopper with an account shows. */
  memberToken: string;
  mails: Mail[];
  /** Asks the database itself, at the world's time. */
  ask<T>(question: (sql: postgres.Sql) => Promise<T>): Promise<T>;
  /** Lets the database tidy up. */
  tidy(): Promise<void>;
  /** Lines that the functions wrote as errors, and whatever else was written. */
  errors: { cause: string; text: string }[];
  close(): Promise<void>;
}

const letters = (count: number) => "s".repeat(count);

const keys: Shop["keys"] = {
  publishable_key: `sb_publishable_${letters(31)}`,
  secret_key: `sb_secret_${letters(31)}`,
  stripe_secret_key: `sk_test_${letters(40)}`,
  stripe_restricted_key: `rk_test_${letters(40)}`,
  stripe_webhook_secret: `whsec_${letters(40)}`,
  link_signing_secret: letters(48),
  resend_api_key: `re_${letters(32)}`,
  resend_webhook_secret: `whsec_${btoa(letters(24))}`,
};

/** Opens the shop. What is real about it is ready when this returns; from then on time is the kernel's. */
export async function openShop(kernel: Kernel, database: WorldDatabase): Promise<Shop> {
  const config = await readProjectConfig(join(SUPABASE_DIR, "config.toml"));
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const signing = { ...await exportJWK(privateKey), kid: "simulated", alg: "ES256", use: "sig" };
  const local = new LocalKeys(
    [keys.publishable_key],
    [keys.secret_key],
    signing,
    `${origins.api}/auth/v1`,
  );
  const tokenOf = (subject: string, more: Record<string, unknown>) =>
    new SignJWT({ role: "authenticated", ...more }).setProtectedHeader({ alg: "ES256", kid: "simulated" })
      .setSubject(subject).setAudience("authenticated").setIssuer(local.issuer)
      .setIssuedAt(beginning / 1000 - 60).setExpirationTime(beginning / 1000 + 90 * 86_400).sign(privateKey);
  const staffToken = await tokenOf(admin, { app_metadata: { role: "admin" } });
  const memberToken = await tokenOf(member, { email: "shopper@example.com" });
  const pool = await apiPool(database.url);
  // How long a statement takes is a matter of real time: it must not decide what happens.
  const rest = createRest(pool, {
    ...config,
    timeouts: false,
    settings: () => [["simulation.now", kernel.timestamp]],
  });
  const warm = new Request(`${origins.api}/rest/v1/rpc/check_invariants`, { method: "POST" });
  await rest(warm, "rpc/check_invariants", { role: "service_role", claims: { role: "service_role" } });
  setEnvironment({ ...keys, jwt_private_key: signing });

  const network = new Network(kernel);
  const functions = new Functions(kernel, network);
  const mails: Mail[] = [];
  const errors: Shop["errors"] = [];
  kernel.onConsole = (level, text, cause) => {
    kernel.note(cause, `writes ${text}`);
    if (level !== "log" && level !== "info" && level !== "warn") errors.push({ cause, text });
  };
  const restore = kernel.install(network.fetch);
  const stripe = createStripe({
    secretKey: keys.stripe_secret_key,
    restrictedKeys: { [keys.stripe_restricted_key]: keyPermissions.map(({ name }) => name) },
    webhookSecret: keys.stripe_webhook_secret,
    pace,
  }, origins.stripe);
  network.serve(origins.stripe, (request) => stripe.handle(request));
  network.serve(origins.web, provider(mails));
  network.serve("https://stripe.com", () => Response.json({ WEBHOOKS: [stripeAddress] }));
  network.serve(origins.api, async (request, address) => {
    const { pathname } = new URL(request.url);
    const [, service, , ...path] = pathname.split("/");
    if (service === "functions") return await functions.call(path.join("/"), request, address);
    const caller = await identify(request, local);
    return await kernel.real(() => rest(request, path.join("/"), caller));
  });
  return {
    kernel,
    network,
    functions,
    keys,
    staffToken,
    memberToken,
    mails,
    errors,
    ask: (question) =>
      kernel.real(async () => {
        await tellTime(database.sql, kernel.timestamp);
        return await question(database.sql);
      }),
    tidy: () => kernel.real(() => database.tidy()),
    close: async () => {
      restore();
      await stripe.stop();
      await pool.end({ timeout: 1 });
    },
  };
}

/** The demo member of staff of `platform.sql`. */
const admin = "00000000-0000-4000-8000-000000000002";
/** The demo shopper of `platform.sql`. */
const member = "00000000-0000-4000-8000-000000000001";
/** One that Stripe publishes. */
const stripeAddress = "3.18.12.63";

async function apiPool(url: string): Promise<postgres.Sql> {
  const address = new URL(url);
  address.username = "authenticator";
  const pool = connect(address.href, {
    max_lifetime: null,
    idle_timeout: 0,
    connection: { statement_timeout: 0 },
  });
  await pool`select 1`;
  return pool;
}

/** Begins at once: what is asked on the same connection from now on comes behind it. */
function tellTime(sql: postgres.Sql, now: string) {
  return sql`select set_config('simulation.now', ${now}, false)`.execute();
}

/** The functions read their variables all at once. Those of the process are not touched: other threads have them too. */
function setEnvironment(stackKeys: StackKeys): void {
  const env = {
    ...defaultFunctionEnv(stackKeys, { api: origins.api, web: origins.web, stripe: origins.stripe }),
    STRIPE_WEBHOOK_EXTRA_IPS: "127.0.0.1",
  };
  Deno.env.toObject = () => ({ ...env });
}

function provider(mails: Mail[]): Server {
  const byKey = new Map<string, Mail>();
  const store: MailStore = {
    list: () => mails.toReversed(),
    get: (id) => mails.find((mail) => mail.id === id),
    byIdempotencyKey: (key) => {
      const mail = byKey.get(key);
      return mail !== undefined && Date.now() - Date.parse(mail.created_at) < 24 * 60 * minute
        ? mail
        : undefined;
    },
    add: (mail) => {
      mails.push(mail);
      if (mail.idempotency_key !== null) byKey.set(mail.idempotency_key, mail);
    },
  };
  const url = `${origins.api}/functions/v1/mail-webhook`;
  const answer = resendStandIn(store, mailReporter(url, keys.resend_webhook_secret));
  return async (request) =>
    await answer(request, new URL(request.url)) ?? new Response(null, { status: 404 });
}

/** Tells Stripe where the shop wants its events. */
export async function orderEvents({ keys }: Pick<Shop, "keys">): Promise<void> {
  const form = new URLSearchParams({
    url: `${origins.api}/functions/v1/stripe-webhook`,
    api_version: stripeApiVersion,
  });
  for (const event of enabledEvents) form.append("enabled_events[]", event);
  const response = await fetch(`${origins.stripe}/v1/webhook_endpoints`, {
    method: "POST",
    headers: { authorization: `Bearer ${keys.stripe_secret_key}` },
    body: form,
  });
  if (!response.ok) throw new Error(await response.text());
}
