import assert from "node:assert/strict";
import { EnvError, environmentVariables, loadEnv } from "../../supabase/functions/_shared/env.ts";
import { environment } from "./fakes.ts";
import { nonEmpty } from "../support/non_empty.ts";

function problemOf(changes: Record<string, string | undefined>): EnvError {
  try {
    loadEnv(environment(changes));
  } catch (error) {
    if (error instanceof EnvError) return error;
    throw error;
  }
  throw new Error("the environment was accepted");
}

Deno.test("loadEnv() reads a complete environment and fills in defaults", () => {
  const env = loadEnv(environment());
  assert.equal(env.siteUrl, "https://shop.example/store");
  assert.equal(env.livemode, false);
  assert.equal(env.stripeWebhookIpMode, "enforce");
  assert.equal(env.checkout.rateLimitPerMinute, 30);
  assert.equal(env.webhookRejectionLimit, 10);
  assert.equal(env.upstash, null);
  assert.deepEqual(env.shippingCountries, ["US", "CA", "GB"]);
});

Deno.test("loadEnv() names every missing required variable in one error", () => {
  try {
    loadEnv({});
    assert.fail("accepted");
  } catch (error) {
    assert(error instanceof EnvError);
    assert.deepEqual(error.variables, [
      "SUPABASE_URL",
      "SUPABASE_PUBLISHABLE_KEYS",
      "SUPABASE_SECRET_KEYS",
      "STRIPE_SECRET_KEY",
      "STRIPE_WEBHOOK_SECRETS",
      "APP_ENV",
      "ALLOWED_ORIGINS",
      "SITE_URL",
      "SHIPPING_COUNTRIES",
      "LINK_SIGNING_SECRET",
    ]);
    for (const variable of error.variables) assert.match(error.message, new RegExp(`${variable}: missing`));
  }
});

const malformed: Record<string, string> = {
  SUPABASE_URL: "ftp://value-under-test",
  SUPABASE_PUBLISHABLE_KEYS: "value-under-test",
  SUPABASE_SECRET_KEYS: '{"default":7,"x":"value-under-test"}',
  SUPABASE_JWKS: "value-under-test",
  AUTH_ISSUER: "value-under-test",
  STRIPE_SECRET_KEY: "pk_test_value-under-test",
  STRIPE_ACCOUNT_ID: "value-under-test",
  STRIPE_WEBHOOK_SECRETS: "whsec_fine_enough,value-under-test",
  STRIPE_API_BASE: "value-under-test",
  STRIPE_WEBHOOK_IP_MODE: "value-under-test",
  STRIPE_WEBHOOK_EXTRA_IPS: "1.2.3.4,value-under-test",
  STRIPE_WEBHOOK_IPS_URL: "value-under-test",
  WEBHOOK_REJECTION_LIMIT: "0",
  APP_ENV: "value-under-test",
  ALLOWED_ORIGINS: "https://shop.example/value-under-test",
  SITE_URL: "value-under-test",
  SHIPPING_COUNTRIES: "US,value-under-test",
  CHECKOUT_AUTOMATIC_TAX: "value-under-test",
  CHECKOUT_PROMOTION_CODES: "value-under-test",
  CHECKOUT_TERMS_CONSENT: "value-under-test",
  CHECKOUT_TAX_IDS: "value-under-test",
  CHECKOUT_PAYMENT_METHODS: "card,value-under-test",
  CHECKOUT_THREE_D_SECURE: "value-under-test",
  CHECKOUT_SESSION_MINUTES: "29",
  CHECKOUT_STATEMENT_DESCRIPTOR_SUFFIX: "value_under*test",
  CHECKOUT_RECEIPTS: "value-under-test",
  CHECKOUT_SAVED_CARDS: "value-under-test",
  CHECKOUT_ADAPTIVE_PRICING: "value-under-test",
  CHECKOUT_TURNSTILE_SECRET: "a value-under-test",
  CHECKOUT_TURNSTILE_URL: "value-under-test",
  CHECKOUT_RATE_LIMIT: "value-under-test",
  MAIL_PER_SECOND: "value-under-test",
  VELOCITY_MODE: "value-under-test",
  UPSTASH_REDIS_REST_URL: "value-under-test",
  MAIL_PROVIDER: "value-under-test",
  RESEND_API_KEY: "a value-under-test",
  RESEND_API_BASE: "value-under-test",
  RESEND_WEBHOOK_SECRETS: "whsec_value-under-test",
  POSTMARK_SERVER_TOKEN: "a value-under-test",
  EMAIL_FROM: "value-under-test",
  ALERT_WEBHOOK_URL: "value-under-test",
  ALERT_EMAIL: "value-under-test",
  LINK_SIGNING_SECRET: "value-under-test",
  ADMIN_REQUIRE_MFA: "value-under-test",
  OTEL_EXPORTER_OTLP_ENDPOINT: "value-under-test",
  OTEL_EXPORTER_OTLP_HEADERS: "x-key=fine,value-under-test",
  METRICS_TOKEN: "a value-under-test",
};

/** Any text may be the token of an Upstash database. */
const shapeless = ["UPSTASH_REDIS_REST_TOKEN"];

Deno.test("every variable that has a shape has a malformed value here", () => {
  assert.deepEqual([...Object.keys(malformed), ...shapeless].sort(), [...environmentVariables].sort());
});

for (const [variable, value] of Object.entries(malformed)) {
  Deno.test(`loadEnv() refuses a malformed ${variable} without repeating its value`, () => {
    const error = problemOf({ [variable]: value });
    assert(error.variables.includes(variable));
    assert.match(error.message, new RegExp(`${variable}: malformed`));
    assert(!error.message.includes("value-under-test") && !error.message.includes("value_under"));
  });
}

Deno.test("loadEnv() treats an empty value as not set", () => {
  assert.equal(loadEnv(environment({ ALERT_EMAIL: "  " })).alertEmail, null);
  assert(problemOf({ STRIPE_SECRET_KEY: "" }).message.includes("STRIPE_SECRET_KEY: missing"));
});

Deno.test("loadEnv() takes secrets of the mail provider that can be decoded, and no others", () => {
  for (let length = 16; length < 50; length++) {
    const bare = `${"a".repeat(length)}`;
    const whole = length % 4 !== 1;
    for (const item of [bare, bare.padEnd(Math.ceil(length / 4) * 4, "=")]) {
      const RESEND_WEBHOOK_SECRETS = `whsec_${"b".repeat(24)},whsec_${item}`;
      if (whole) {
        atob(item);
        assert.equal(loadEnv(environment({ RESEND_WEBHOOK_SECRETS })).resendWebhookSecrets.length, 2);
      } else {
        assert.throws(() => atob(item));
        assert.deepEqual(problemOf({ RESEND_WEBHOOK_SECRETS }).variables, ["RESEND_WEBHOOK_SECRETS"]);
      }
    }
  }
});

Deno.test("loadEnv() trims secrets and keeps several for rotation", () => {
  const env = loadEnv(environment({ STRIPE_WEBHOOK_SECRETS: " whsec_first_one \n, whsec_second_one," }));
  assert.deepEqual(env.stripeWebhookSecrets, ["whsec_first_one", "whsec_second_one"]);
});

const liveKey = ["sk", "live", "unit"].join("_");

Deno.test("loadEnv() refuses a live key outside production", () => {
  for (const appEnv of ["development", "staging"]) {
    const error = problemOf({
      STRIPE_SECRET_KEY: liveKey,
      STRIPE_API_BASE: undefined,
      APP_ENV: appEnv,
      ALLOWED_ORIGINS: "https://shop.example",
    });
    assert.deepEqual(error.variables, ["STRIPE_SECRET_KEY"]);
    assert(!error.message.includes(liveKey));
  }
});

Deno.test("loadEnv() refuses a test key in production", () => {
  const error = problemOf({ APP_ENV: "production", ALLOWED_ORIGINS: "https://shop.example" });
  assert.deepEqual(error.variables, ["STRIPE_SECRET_KEY"]);
});

Deno.test("loadEnv() refuses STRIPE_API_BASE with a live key", () => {
  const production = {
    APP_ENV: "production",
    STRIPE_SECRET_KEY: liveKey,
    ALLOWED_ORIGINS: "https://shop.example",
  };
  assert.deepEqual(problemOf(production).variables, ["STRIPE_API_BASE"]);
  assert.equal(loadEnv(environment({ ...production, STRIPE_API_BASE: undefined })).livemode, true);
});

Deno.test("addresses of this machine are for development, and only those that are set", () => {
  const here = [
    "http://localhost:5173",
    "https://localhost",
    "http://shop.localhost:3000",
    "http://127.0.0.1:3000",
    "http://127.8.0.1",
    "http://0.0.0.0:3000",
    "http://[::1]:8080",
    "http://[::ffff:7f00:1]",
  ];
  const live = { STRIPE_SECRET_KEY: liveKey, STRIPE_API_BASE: undefined };
  const shop = { ALLOWED_ORIGINS: "https://shop.example" };
  for (const origin of here) {
    const listed = { ALLOWED_ORIGINS: `https://shop.example,${origin}` };
    assert.deepEqual(loadEnv(environment(listed)).allowedOrigins, ["https://shop.example", origin]);
    for (const appEnv of [{ APP_ENV: "staging" }, { APP_ENV: "production", ...live }]) {
      assert.deepEqual(problemOf({ ...appEnv, ...listed }).variables, ["ALLOWED_ORIGINS"], origin);
      assert.deepEqual(problemOf({ ...appEnv, ...shop, SITE_URL: origin }).variables, ["SITE_URL"], origin);
    }
  }
  assert.deepEqual(loadEnv(environment(shop)).allowedOrigins, ["https://shop.example"]);
  for (const origin of ["https://localhost.example", "https://127.example", "https://notlocalhost"]) {
    assert.equal(loadEnv(environment({ APP_ENV: "staging", ALLOWED_ORIGINS: origin })).appEnv, "staging");
  }
});

Deno.test("loadEnv() refuses a wildcard origin and plain http in production", () => {
  assert.deepEqual(problemOf({ ALLOWED_ORIGINS: "*" }).variables, ["ALLOWED_ORIGINS"]);
  const production = { APP_ENV: "production", STRIPE_SECRET_KEY: liveKey, STRIPE_API_BASE: undefined };
  assert.deepEqual(problemOf(production).variables, ["ALLOWED_ORIGINS"]);
});

Deno.test("loadEnv() refuses plain http for every address in production, whichever way it leads", () => {
  const production = {
    APP_ENV: "production",
    STRIPE_SECRET_KEY: liveKey,
    STRIPE_API_BASE: undefined,
    ALLOWED_ORIGINS: "https://shop.example",
    UPSTASH_REDIS_REST_TOKEN: "token",
    UPSTASH_REDIS_REST_URL: "https://u.example",
  };
  // Every variable whose name says that it is an address, so that a new one cannot be forgotten.
  const addresses = environmentVariables.filter((name) => /(_URL|_BASE|_ISSUER|_ORIGINS)$/.test(name));
  assert(addresses.length >= 9, `${addresses}`);
  for (const name of nonEmpty(addresses.filter((name) => name !== "STRIPE_API_BASE"))) {
    assert.deepEqual(problemOf({ ...production, [name]: "http://plain.example" }).variables, [name]);
  }
  assert.equal(
    loadEnv(environment({ ...production, SUPABASE_URL: "http://127.0.0.1:54321" })).livemode,
    true,
  );
});

Deno.test("loadEnv() refuses countries that Stripe takes no delivery address for", () => {
  for (const countries of ["UK", "US,CU", "us", "XX", ","]) {
    assert.deepEqual(
      problemOf({ SHIPPING_COUNTRIES: countries }).variables,
      ["SHIPPING_COUNTRIES"],
      countries,
    );
  }
});

Deno.test("loadEnv() wants both halves of a pair", () => {
  assert.deepEqual(problemOf({ UPSTASH_REDIS_REST_URL: "https://u.example" }).variables, [
    "UPSTASH_REDIS_REST_TOKEN",
  ]);
  assert.deepEqual(problemOf({ UPSTASH_REDIS_REST_TOKEN: "t" }).variables, ["UPSTASH_REDIS_REST_URL"]);
  assert.deepEqual(problemOf({ RESEND_API_KEY: "re_unit_tests" }).variables, ["EMAIL_FROM"]);
});

Deno.test(".env.example lists each variable once, in the order of env.ts", async () => {
  const example = await Deno.readTextFile(new URL("../../.env.example", import.meta.url));
  const names = [...example.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name);
  assert.deepEqual(names, [...environmentVariables]);
});

Deno.test("loadEnv() takes addresses with slashes at their end", () => {
  const env = loadEnv(environment({ SUPABASE_URL: " https://ref.supabase.co// " }));
  assert.equal(env.supabaseUrl, "https://ref.supabase.co");
  assert.equal(env.authIssuer, "https://ref.supabase.co/auth/v1");
  const custom = loadEnv(environment({ AUTH_ISSUER: "https://api.shop.example/auth/v1" }));
  assert.equal(custom.authIssuer, "https://api.shop.example/auth/v1");
});

Deno.test("loadEnv() takes a collector of traces as OpenTelemetry names it, and none when none is named", () => {
  const { collector } = loadEnv(environment({
    OTEL_EXPORTER_OTLP_ENDPOINT: "https://otlp.example/otlp/",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Basic%20abc=,x-scope=1",
  }));
  assert.deepEqual(collector, {
    url: "https://otlp.example/otlp/v1/traces",
    headers: { authorization: "Basic abc=", "x-scope": "1" },
  });
  assert.equal(loadEnv(environment({})).collector, null);
});

Deno.test("CHECKOUT_PAYMENT_METHODS says what is offered or what is not, and never both", () => {
  const read = (value: string) =>
    loadEnv(environment({ CHECKOUT_PAYMENT_METHODS: value })).checkout.paymentMethods;
  assert.deepEqual(read(""), { allowed: [], excluded: [] });
  assert.deepEqual(read("card, ideal"), { allowed: ["card", "ideal"], excluded: [] });
  assert.deepEqual(read("-klarna,-zip"), { allowed: [], excluded: ["klarna", "zip"] });
  assert.match(
    problemOf({ CHECKOUT_PAYMENT_METHODS: "card,-zip" }).message,
    /CHECKOUT_PAYMENT_METHODS: malformed/,
  );
});

Deno.test("functions load zod's small edition: the whole of it takes longer than all else of a start", async () => {
  const found: string[] = [];
  const folders = [new URL("../../supabase/functions/", import.meta.url)];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory && name !== "node_modules") folders.push(new URL(`${name}/`, folder));
      if (!name.endsWith(".ts")) continue;
      const text = await Deno.readTextFile(new URL(name, folder));
      if (/^import (?!type ).*from "zod";$/m.test(text)) found.push(name);
    }
  }
  // Only its types are used at run time.
  assert.deepEqual(found, ["answers.ts"]);
});
