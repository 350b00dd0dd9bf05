/**
 * The only reader of `Deno.env`. Every variable is checked once, at boot, and a function with a missing or
 * malformed one does not start: half a configuration is worse than none when money is involved.
 *
 * Messages name the variable and the fix, never the value: they end up in logs.
 */
import {
  choice,
  commaList,
  commaListOfSome,
  flag,
  isBase64,
  isOrigin,
  keyDictionary,
  keySet,
  mailAddress,
  oneOf,
  optional,
  parseWebAddress,
  text,
  type ValuesOf,
  type Variable,
  webAddress,
  wholeNumber,
  withDefault,
} from "./text/variables.ts";
import { paymentMethods } from "./payment_methods.ts";
import { shippingCountries } from "./shipping_countries.ts";
import { normalizeAddress } from "./http/client_ip.ts";
import { isLoopback } from "./http/loopback.ts";

type Source = Record<string, string | undefined>;
type Mode = "enforce" | "report" | "off";

/** What the functions know about the world they run in. Amounts of time carry their unit in the name. */
export interface Env {
  supabaseUrl: string;
  /** Name → key. Keys go into the `apikey` header, never into `Authorization`. */
  publishableKeys: Record<string, string>;
  secretKeys: Record<string, string>;
  /** Inline key set, or null. Keys that it lacks are asked for at Supabase Auth's well-known address. */
  jwks: { keys: JsonWebKey[] } | null;
  /** What Auth's tokens must name as their issuer. */
  authIssuer: string;
  stripeSecretKey: string;
  /** True when the key is a live one: events and objects of the other mode are not ours. */
  livemode: boolean;
  /** Our own account (`acct_…`), where events name it: the shop is a platform's connected account. */
  stripeAccountId: string | null;
  stripeWebhookSecrets: string[];
  stripeApiBase: URL | null;
  stripeWebhookIpMode: Mode;
  stripeWebhookExtraIps: string[];
  stripeWebhookIpsUrl: string;
  webhookRejectionLimit: number;
  appEnv: "development" | "staging" | "production";
  /** Exact web origins: who may call from a browser, and where shoppers may be sent back to. */
  allowedOrigins: string[];
  /** Without a trailing slash. */
  siteUrl: string;
  shippingCountries: string[];
  checkout: {
    automaticTax: boolean;
    promotionCodes: boolean;
    termsConsent: boolean;
    /** Business buyers may give their company and tax ids, which the receipt shows. */
    taxIds: boolean;
    /** What Stripe's dynamic choice of methods is limited to, or made without; at most one is not empty. */
    paymentMethods: { allowed: string[]; excluded: string[] };
    /** Stripe may show and take the amounts in a currency of the shopper's own. */
    adaptivePricing: boolean;
    threeDSecure: "automatic" | "any" | "challenge";
    sessionMinutes: number;
    statementDescriptorSuffix: string | null;
    /** Stripe mails its own receipt when the address is known beforehand. */
    receipts: boolean;
    /** Signed-in customers may keep their card at Stripe and use it again. */
    savedCards: boolean;
    turnstile: { secret: string; url: string } | null;
    rateLimitPerMinute: number;
  };
  velocityMode: Mode;
  upstash: { url: string; token: string } | null;
  mailProvider: "resend" | "postmark";
  /** Mails to customers that may leave in a second. */
  mailPerSecond: number;
  resend: { apiKey: string; apiBase: string } | null;
  postmark: { serverToken: string } | null;
  /** Of the webhook that tells what became of mails; none: nobody is believed. */
  resendWebhookSecrets: string[];
  emailFrom: string | null;
  alertWebhookUrl: string | null;
  alertEmail: string | null;
  /** Signs links in mails. */
  linkSigningSecret: string;
  /** Signed links before; those are still good. */
  earlierLinkSigningSecrets: string[];
  adminRequireMfa: boolean;
  /** Takes spans; null: nobody collects them. */
  collector: { url: string; headers: Record<string, string> } | null;
  /** What monitors may read the figures of `health` with; none: the secret key alone can. */
  metricsTokens: string[];
}

/** Thrown at boot. The message lists every bad variable, so that one deployment fixes them all. */
export class EnvError extends Error {
  override name = "EnvError";
  /** Names of the variables that are missing or malformed. */
  readonly variables: string[];

  constructor(problems: { variable: string; fix: string }[]) {
    const lines = problems.map(({ variable, fix }) => `  ${variable}: ${fix}`);
    super(`the environment is not complete:\n${lines.join("\n")}`);
    this.variables = problems.map(({ variable }) => variable);
  }
}

const keysMend = (kind: string) => `set Supabase's JSON dictionary, {"default":"sb_${kind}_…"}`;
const jwksMend = `set Supabase's JSON key set, {"keys":[…]}, or leave it out`;
const accountMend = "set the id of your own Stripe account (acct_…), or leave it out";
const secretsMend = "set one or more signing secrets (whsec_…), comma separated";
const originsMend =
  "set exact origins (https://shop.example), comma separated, no path, no slash at the end, no *";
const shippingMend =
  "set two-letter codes of countries that Stripe takes delivery addresses for (US,CA,GB), comma separated";
const methodsMend =
  "set Stripe's names of what to offer (card,ideal), or each with a - in front of what not to offer (-klarna,-zip)";
const linkSecretMend = "set at least 32 random characters; two secrets, comma separated, while it is rotated";
const mailSecretsMend = "set one or more signing secrets of Resend's webhook (whsec_…), comma separated";
const collectorHeader = /^[\w-]+=([!-$&-~]|%[0-7][0-9A-Fa-f])+$/;
const collectorMend = "set name=value, comma separated, values percent-encoded, or leave it out";
const descriptorMend = "set 2 to 22 letters, digits, spaces, dots or dashes, or leave it out";
const metricsTokenMend =
  "set at least 32 random letters and digits, or leave it out; two, comma separated, while it is rotated";
const stripeKeyMend = "set Stripe's secret or restricted key (sk_… or rk_…)";
const turnstileMend = "set the secret key of the Turnstile widget, or leave it out";
const resendMend = "set Resend's key (re_…), or leave it out";
const postmarkMend = "set the token of Postmark's server, or leave it out";
const senderMend = 'set a sender, "Shop <orders@shop.example>"';

/** In the order of docs/contract.md; `.env.example` follows it. */
const variables = {
  SUPABASE_URL: webAddress("set the project's URL, https://REF.supabase.co"),
  SUPABASE_PUBLISHABLE_KEYS: keyDictionary(keysMend("publishable")),
  SUPABASE_SECRET_KEYS: keyDictionary(keysMend("secret")),
  SUPABASE_JWKS: optional(keySet(jwksMend)),
  AUTH_ISSUER: optional(webAddress("set the issuer that Auth writes into its tokens, or leave it out")),
  STRIPE_SECRET_KEY: text(stripeKeyMend, /^[sr]k_(test|live)_[A-Za-z0-9_]{4,}$/),
  STRIPE_ACCOUNT_ID: optional(text(accountMend, /^acct_[A-Za-z0-9]{8,}$/)),
  STRIPE_WEBHOOK_SECRETS: commaListOfSome(secretsMend, (item) => /^whsec_\S{8,}$/.test(item)),
  STRIPE_API_BASE: optional(webAddress("set an http(s) address without a path, or leave it out")),
  STRIPE_WEBHOOK_IP_MODE: choice(["enforce", "report", "off"], "enforce"),
  STRIPE_WEBHOOK_EXTRA_IPS: withDefault(
    commaList(
      "set IP addresses, comma separated, or leave it out",
      (item) => normalizeAddress(item) !== null,
    ),
    [],
  ),
  STRIPE_WEBHOOK_IPS_URL: withDefault(
    webAddress("set the address of Stripe's published list, or leave it out"),
    "https://stripe.com/files/ips/ips_webhooks.json",
  ),
  WEBHOOK_REJECTION_LIMIT: wholeNumber(1, 100_000, 10),
  APP_ENV: oneOf(["development", "staging", "production"]),
  ALLOWED_ORIGINS: commaListOfSome(originsMend, isOrigin),
  SITE_URL: webAddress("set the storefront's address, https://shop.example"),
  SHIPPING_COUNTRIES: commaListOfSome(shippingMend, (item) => shippingCountries.has(item)),
  CHECKOUT_AUTOMATIC_TAX: flag(false),
  CHECKOUT_PROMOTION_CODES: flag(false),
  CHECKOUT_TERMS_CONSENT: flag(false),
  CHECKOUT_TAX_IDS: flag(false),
  CHECKOUT_PAYMENT_METHODS: withDefault(
    commaList(
      methodsMend,
      (item) => paymentMethods.has(item.replace(/^-/, "")),
      (items) => new Set(items.map((item) => item.startsWith("-"))).size < 2,
    ),
    [],
  ),
  CHECKOUT_ADAPTIVE_PRICING: flag(false),
  CHECKOUT_THREE_D_SECURE: choice(["automatic", "any", "challenge"], "automatic"),
  // Stripe accepts 30 minutes to 24 hours.
  CHECKOUT_SESSION_MINUTES: wholeNumber(30, 1440, 30),
  CHECKOUT_STATEMENT_DESCRIPTOR_SUFFIX: optional(
    text(descriptorMend, /^(?=.*[A-Za-z])[A-Za-z0-9 .-]{2,22}$/),
  ),
  CHECKOUT_RECEIPTS: flag(true),
  CHECKOUT_SAVED_CARDS: flag(true),
  CHECKOUT_TURNSTILE_SECRET: optional(text(turnstileMend, /^\S{8,}$/)),
  CHECKOUT_TURNSTILE_URL: withDefault(
    webAddress("set an http(s) address, or leave it out"),
    "https://challenges.cloudflare.com/turnstile/v0/siteverify",
  ),
  CHECKOUT_RATE_LIMIT: wholeNumber(1, 100_000, 30),
  VELOCITY_MODE: choice(["enforce", "report", "off"], "enforce"),
  UPSTASH_REDIS_REST_URL: optional(
    webAddress("set the https address of the Upstash database, or leave it out"),
  ),
  UPSTASH_REDIS_REST_TOKEN: optional(text("set the REST token of the Upstash database", /./)),
  MAIL_PROVIDER: choice(["resend", "postmark"], "resend"),
  MAIL_PER_SECOND: wholeNumber(1, 1_000, 4),
  RESEND_API_KEY: optional(text(resendMend, /^\S{8,}$/)),
  RESEND_API_BASE: withDefault(
    webAddress("set an http(s) address, or leave it out"),
    "https://api.resend.com",
  ),
  RESEND_WEBHOOK_SECRETS: withDefault(
    commaList(mailSecretsMend, (item) => /^whsec_\S{16,}$/.test(item) && isBase64(item.slice(6))),
    [],
  ),
  POSTMARK_SERVER_TOKEN: optional(text(postmarkMend, /^\S{8,}$/)),
  EMAIL_FROM: optional(text(senderMend, /^[^\r\n]*\S+@\S+[^\r\n]*$/)),
  ALERT_WEBHOOK_URL: optional(webAddress("set the https address that takes alerts, or leave it out")),
  ALERT_EMAIL: optional(mailAddress("set one e-mail address, or leave it out")),
  LINK_SIGNING_SECRET: commaListOfSome(linkSecretMend, (item) => item.length >= 32),
  ADMIN_REQUIRE_MFA: flag(false),
  OTEL_EXPORTER_OTLP_ENDPOINT: optional(
    webAddress("set the collector's address without /v1/traces, or leave it out"),
  ),
  OTEL_EXPORTER_OTLP_HEADERS: withDefault(
    commaList(collectorMend, (item) => collectorHeader.test(item)),
    [],
  ),
  METRICS_TOKEN: withDefault(
    commaList(metricsTokenMend, (item) => /^[\w.~+/-]{32,200}=*$/.test(item)),
    [],
  ),
} satisfies Record<string, Variable<unknown>>;

type Values = ValuesOf<typeof variables>;

/** Names of all variables, in the order of `.env.example`. */
export const environmentVariables: readonly string[] = Object.keys(variables);

/**
 * Reads and checks the environment.
 * @throws EnvError that lists each missing or malformed variable with its fix.
 */
export function loadEnv(source: Source = Deno.env.toObject()): Env {
  const problems: { variable: string; fix: string }[] = [];
  const read: Record<string, unknown> = {};
  for (const [variable, { fix, ...kind }] of Object.entries<Variable<unknown>>(variables)) {
    // An empty value is what a secrets page or a compose file makes of "not set".
    const given = source[variable]?.trim() ?? "";
    if (given === "" && kind.unset !== undefined) {
      read[variable] = kind.unset.value;
      continue;
    }
    const value = given === "" ? undefined : kind.read(given);
    if (value === undefined) {
      problems.push({ variable, fix: `${given === "" ? "missing" : "malformed"}; ${fix}` });
    }
    read[variable] = value;
  }
  if (problems.length > 0) throw new EnvError(problems);
  const values = read as Values;
  const conflicts = checkTogether(values);
  if (conflicts.length > 0) throw new EnvError(conflicts);
  return toEnv(values);
}

/** Rules between variables. */
function checkTogether(values: Values): { variable: string; fix: string }[] {
  const live = isLive(values.STRIPE_SECRET_KEY);
  const production = values.APP_ENV === "production";
  const problems: { variable: string; fix: string }[] = [];
  const add = (variable: string, fix: string) => problems.push({ variable, fix });

  if (live && !production) {
    add(
      "STRIPE_SECRET_KEY",
      `refused; a live key needs APP_ENV=production, and APP_ENV is ${values.APP_ENV}`,
    );
  }
  if (!live && production) add("STRIPE_SECRET_KEY", "refused; APP_ENV=production needs a live key");
  if (live && values.STRIPE_API_BASE !== undefined) {
    add("STRIPE_API_BASE", "refused; it is for offline use, remove it where the key is live");
  }
  for (const [variable, value] of Object.entries(values)) {
    const addresses = [value].flat().filter((item) => typeof item === "string");
    // On a shopper's machine a loopback address is whatever runs there.
    const forShoppers = variable === "SITE_URL" || variable === "ALLOWED_ORIGINS";
    // The gateway may be on this very machine; a Stripe address has been refused above.
    const local = variable === "SUPABASE_URL" || variable === "STRIPE_API_BASE";
    if (forShoppers && values.APP_ENV !== "development" && addresses.some(isLoopback)) {
      add(
        variable,
        `refused; addresses of this machine need APP_ENV=development, and it is ${values.APP_ENV}`,
      );
    } else if (
      production && addresses.some((address) => isPlainHttp(address) && !(local && isLoopback(address)))
    ) {
      add(variable, "malformed; production needs https");
    }
  }
  if (values.UPSTASH_REDIS_REST_URL !== undefined && values.UPSTASH_REDIS_REST_TOKEN === undefined) {
    add("UPSTASH_REDIS_REST_TOKEN", "missing; set it beside UPSTASH_REDIS_REST_URL");
  }
  if (values.UPSTASH_REDIS_REST_TOKEN !== undefined && values.UPSTASH_REDIS_REST_URL === undefined) {
    add("UPSTASH_REDIS_REST_URL", "missing; set it beside UPSTASH_REDIS_REST_TOKEN");
  }
  if (values.MAIL_PROVIDER === "postmark" && values.POSTMARK_SERVER_TOKEN === undefined) {
    add("POSTMARK_SERVER_TOKEN", "missing; MAIL_PROVIDER=postmark needs it");
  }
  if (
    (values.RESEND_API_KEY ?? values.POSTMARK_SERVER_TOKEN) !== undefined && values.EMAIL_FROM === undefined
  ) {
    add("EMAIL_FROM", 'missing; mail needs a sender, "Shop <orders@shop.example>"');
  }
  return problems;
}

function isPlainHttp(address: string): boolean {
  return parseWebAddress(address)?.protocol === "http:";
}

function isLive(key: string): boolean {
  return /^[sr]k_live_/.test(key);
}

function toEnv(values: Values): Env {
  const { UPSTASH_REDIS_REST_URL: upstashUrl, UPSTASH_REDIS_REST_TOKEN: upstashToken } = values;
  return {
    supabaseUrl: withoutSlash(values.SUPABASE_URL),
    publishableKeys: values.SUPABASE_PUBLISHABLE_KEYS,
    secretKeys: values.SUPABASE_SECRET_KEYS,
    jwks: values.SUPABASE_JWKS ?? null,
    authIssuer: values.AUTH_ISSUER ?? `${withoutSlash(values.SUPABASE_URL)}/auth/v1`,
    stripeSecretKey: values.STRIPE_SECRET_KEY,
    livemode: isLive(values.STRIPE_SECRET_KEY),
    stripeAccountId: values.STRIPE_ACCOUNT_ID ?? null,
    stripeWebhookSecrets: values.STRIPE_WEBHOOK_SECRETS,
    stripeApiBase: values.STRIPE_API_BASE === undefined ? null : new URL(values.STRIPE_API_BASE),
    stripeWebhookIpMode: values.STRIPE_WEBHOOK_IP_MODE,
    stripeWebhookExtraIps: values.STRIPE_WEBHOOK_EXTRA_IPS.flatMap((item) => normalizeAddress(item) ?? []),
    stripeWebhookIpsUrl: values.STRIPE_WEBHOOK_IPS_URL,
    webhookRejectionLimit: values.WEBHOOK_REJECTION_LIMIT,
    appEnv: values.APP_ENV,
    allowedOrigins: values.ALLOWED_ORIGINS,
    siteUrl: withoutSlash(values.SITE_URL),
    shippingCountries: values.SHIPPING_COUNTRIES,
    checkout: {
      automaticTax: values.CHECKOUT_AUTOMATIC_TAX,
      promotionCodes: values.CHECKOUT_PROMOTION_CODES,
      termsConsent: values.CHECKOUT_TERMS_CONSENT,
      taxIds: values.CHECKOUT_TAX_IDS,
      paymentMethods: {
        allowed: values.CHECKOUT_PAYMENT_METHODS.filter((item) => !item.startsWith("-")),
        excluded: values.CHECKOUT_PAYMENT_METHODS.flatMap((item) =>
          item.startsWith("-") ? [item.slice(1)] : []
        ),
      },
      adaptivePricing: values.CHECKOUT_ADAPTIVE_PRICING,
      threeDSecure: values.CHECKOUT_THREE_D_SECURE,
      sessionMinutes: values.CHECKOUT_SESSION_MINUTES,
      statementDescriptorSuffix: values.CHECKOUT_STATEMENT_DESCRIPTOR_SUFFIX ?? null,
      receipts: values.CHECKOUT_RECEIPTS,
      savedCards: values.CHECKOUT_SAVED_CARDS,
      turnstile: values.CHECKOUT_TURNSTILE_SECRET === undefined
        ? null
        : { secret: values.CHECKOUT_TURNSTILE_SECRET, url: values.CHECKOUT_TURNSTILE_URL },
      rateLimitPerMinute: values.CHECKOUT_RATE_LIMIT,
    },
    velocityMode: values.VELOCITY_MODE,
    upstash: upstashUrl === undefined || upstashToken === undefined
      ? null
      : { url: withoutSlash(upstashUrl), token: upstashToken },
    mailProvider: values.MAIL_PROVIDER,
    mailPerSecond: values.MAIL_PER_SECOND,
    resend: values.RESEND_API_KEY === undefined
      ? null
      : { apiKey: values.RESEND_API_KEY, apiBase: withoutSlash(values.RESEND_API_BASE) },
    postmark: values.POSTMARK_SERVER_TOKEN === undefined
      ? null
      : { serverToken: values.POSTMARK_SERVER_TOKEN },
    resendWebhookSecrets: values.RESEND_WEBHOOK_SECRETS,
    emailFrom: values.EMAIL_FROM ?? null,
    alertWebhookUrl: values.ALERT_WEBHOOK_URL ?? null,
    alertEmail: values.ALERT_EMAIL ?? null,
    linkSigningSecret: values.LINK_SIGNING_SECRET[0] ?? "",
    earlierLinkSigningSecrets: values.LINK_SIGNING_SECRET.slice(1),
    adminRequireMfa: values.ADMIN_REQUIRE_MFA,
    collector: values.OTEL_EXPORTER_OTLP_ENDPOINT === undefined ? null : {
      url: `${withoutSlash(values.OTEL_EXPORTER_OTLP_ENDPOINT)}/v1/traces`,
      headers: Object.fromEntries(values.OTEL_EXPORTER_OTLP_HEADERS.map(headerOf)),
    },
    metricsTokens: values.METRICS_TOKEN,
  };
}

/** `name=value` as OpenTelemetry writes headers: the value is percent-encoded. */
function headerOf(pair: string): [string, string] {
  const at = pair.indexOf("=");
  return [pair.slice(0, at), decodeURIComponent(pair.slice(at + 1))];
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, "");
}
