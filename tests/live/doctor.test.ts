import assert from "node:assert/strict";
import Stripe from "stripe";
import { diagnose } from "../../scripts/live/doctor.ts";
import type { Finding } from "../../scripts/live/doctor/finding.ts";
import { checkAlerts } from "../../scripts/live/doctor/alerts.ts";
import { judgeAuth } from "../../scripts/live/doctor/auth.ts";

import { judgeJobs, judgeStaff, judgeWebhooks } from "../../scripts/live/doctor/health.ts";
import { judgeShipping } from "../../scripts/live/doctor/shipping.ts";
import { howFarBehind, judgeEndpoint } from "../../scripts/live/doctor/stripe.ts";
import { findSource } from "../../scripts/live/doctor/subject.ts";
import { resolve } from "node:path";
import { sortEndpoints, webhookUrl } from "../../supabase/functions/_shared/jobs/webhook_endpoints.ts";
import { createStripe } from "../../supabase/functions/_shared/stripe/client.ts";
import { stripeApiVersion } from "../../supabase/functions/_shared/stripe/api_version.ts";
import { enabledEvents } from "../../supabase/functions/_shared/stripe_events/mod.ts";
import { eventually } from "../support/poll.ts";
import { type TestStack, testStack } from "../support/stack.ts";
import { nonEmpty } from "../support/non_empty.ts";

const options = { sanitizeOps: false, sanitizeResources: false };
const allEvents = enabledEvents as Stripe.WebhookEndpointCreateParams.EnabledEvent[];
const root = resolve(import.meta.dirname ?? "", "../..");

let stack: TestStack;
let stripe: Stripe;

Deno.test.beforeAll(async () => {
  stack = await testStack({ jobs: true, web: true });
  stripe = createStripe({
    stripeSecretKey: stack.stripe_secret_key,
    stripeApiBase: new URL(stack.stripe_url),
  });
});
Deno.test.afterAll(() => stack.stop());

const local = (given: Record<string, string> = {}) => findSource(null, { LOCAL_DIR: stack.dir, ...given });

async function errors(given: Record<string, string> = {}): Promise<Finding[]> {
  return (await diagnose(await local(given))).filter(({ level }) => level === "error");
}

/** The only error there is, in one line. */
async function onlyError(given: Record<string, string> = {}): Promise<string> {
  const found = await errors(given);
  assert.equal(found.length, 1, JSON.stringify(found));
  return `${found[0]?.what} → ${found[0]?.fix}`;
}

async function runDoctor(args: string[] = []): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "scripts/live/doctor.ts", ...args],
    cwd: root,
    env: { LOCAL_DIR: stack.dir, NO_COLOR: "1" },
  }).output();
  return { code, output: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

async function ownEndpoint(): Promise<Stripe.WebhookEndpoint> {
  const { data } = await stripe.webhookEndpoints.list();
  const own = data.find(({ url }) => url === webhookUrl(stack.api_url));
  assert.ok(own, "the stack has an endpoint");
  return own;
}

Deno.test({
  ...options,
  name: "doctor: a healthy stack has no errors, exits 0 and shows no secret",
  fn: async () => {
    await eventually("retry-jobs to have run", async () => (await errors()).length === 0);
    const { code, output } = await runDoctor();
    assert.equal(code, 0, output);
    assert.match(output, /0 errors/);
    assert.match(output, /^ok +check_invariants\(\) finds nothing broken$/m);
    assert.match(output, /^ok +webhook endpoint we_\w+ is enabled/m);
    const { secret_key, stripe_secret_key, stripe_webhook_secret } = stack;
    for (const secret of [secret_key, stripe_secret_key, stripe_webhook_secret]) {
      assert.ok(!output.includes(secret));
    }
  },
});

Deno.test({
  ...options,
  name: "doctor: a disabled webhook endpoint is named, and the exit code is 1",
  fn: async () => {
    const { id } = await ownEndpoint();
    await stripe.webhookEndpoints.update(id, { disabled: true });
    try {
      const { code, output } = await runDoctor();
      assert.equal(code, 1, output);
      assert.match(output, new RegExp(`^error +webhook endpoint ${id} is disabled at Stripe  →  `, "m"));
    } finally {
      await stripe.webhookEndpoints.update(id, { disabled: false });
    }
  },
});

Deno.test({
  ...options,
  name: "doctor: an event that the endpoint lacks is named",
  fn: async () => {
    const { id } = await ownEndpoint();
    const fewer = enabledEvents.filter((event) => event !== "charge.dispute.created");
    await stripe.webhookEndpoints.update(id, {
      enabled_events: fewer as Stripe.WebhookEndpointUpdateParams.EnabledEvent[],
    });
    try {
      assert.match(await onlyError(), new RegExp(`${id} lacks charge.dispute.created → `));
    } finally {
      await stripe.webhookEndpoints.update(id, { enabled_events: allEvents });
    }
  },
});

Deno.test({
  ...options,
  name: "doctor: a deleted webhook endpoint, and one of another API version, are named",
  fn: async () => {
    const { id, url } = await ownEndpoint();
    await stripe.webhookEndpoints.del(id);
    assert.match(await onlyError(), /Stripe has no webhook endpoint for http.*stripe-webhook → /);
    const unpinned = await stripe.webhookEndpoints.create({ url, enabled_events: allEvents });
    assert.match(await onlyError(), new RegExp(`${unpinned.id} sends API version of the account`));
    await stripe.webhookEndpoints.del(unpinned.id);
    await stripe.webhookEndpoints.create({
      url,
      enabled_events: allEvents,
      api_version: stripeApiVersion,
    });
    assert.deepEqual(await errors(), []);
  },
});

Deno.test({
  ...options,
  name: "doctor: a mail webhook without a secret, or with one that the function does not know, is named",
  fn: async () => {
    const of = async (given: Record<string, string>) =>
      (await diagnose(await local(given))).map(({ level, what, fix }) => `${level} ${what} → ${fix}`).filter((
        line,
      ) => /mail-webhook|come back/.test(line));
    assert.deepEqual(await of({}), ["ok mail-webhook takes what RESEND_WEBHOOK_SECRETS signs → "]);
    const another = `whsec_${btoa("a secret that nobody deployed")}`;
    assert.match(
      await onlyError({ RESEND_WEBHOOK_SECRETS: another }),
      /mail-webhook does not know the secret of RESEND_WEBHOOK_SECRETS → /,
    );
    assert.match(
      (await of({ RESEND_WEBHOOK_SECRETS: "" })).join(),
      /^warning nobody hears of mails that come back → add a webhook to http\S+mail-webhook at Resend, with email\.delivered, /,
    );
  },
});

Deno.test({
  ...options,
  name: "doctor: an account that is not the key's is named",
  fn: async () => {
    assert.match(
      await onlyError({ STRIPE_ACCOUNT_ID: "acct_1SomebodyElse" }),
      /^STRIPE_ACCOUNT_ID is acct_1SomebodyElse, the key belongs to acct_1StandInAccount00 → /,
    );
    assert.deepEqual(await errors({ STRIPE_ACCOUNT_ID: "acct_1StandInAccount00" }), []);
  },
});

Deno.test({
  ...options,
  name: "doctor: a broken invariant is named with what it concerns",
  fn: async () => {
    const [level] = await stack.sql`
      update public.inventory_levels set reserved = reserved + 1
      where variant_id = (select variant_id from public.inventory_levels where on_hand > reserved order by 1 limit 1)
      returning variant_id
    `;
    assert.ok(level);
    try {
      const found = await onlyError();
      assert.match(found, /^invariant broken: /);
      assert.ok(found.includes(String(level.variant_id)) || /sku/.test(found), found);
    } finally {
      await stack
        .sql`update public.inventory_levels set reserved = reserved - 1 where variant_id = ${level.variant_id}`;
    }
  },
});

Deno.test({
  ...options,
  name: "doctor: dead jobs are named with the command that queues them again",
  fn: async () => {
    const [job] = await stack.sql`
      insert into private.jobs (kind, dedupe_key, payload, status, finished_at)
      values ('send_mail', 'doctor-test', '{}', 'dead', now()) returning id
    `;
    try {
      assert.match(await onlyError(), /^1 dead jobs → .*deno task redrive/);
    } finally {
      await stack.sql`delete from private.jobs where id = ${job?.id}`;
    }
  },
});

Deno.test({
  ...options,
  name: "doctor: a wrong key is named, Supabase's and Stripe's alike, and a publishable key is told apart",
  fn: async () => {
    const { values, ...source } = await local();
    const whatWith = async (changes: Record<string, string>) =>
      (await diagnose({ ...source, values: { ...values, ...changes } })).filter(({ level }) =>
        level === "error"
      )
        .map(({ what }) => what).join("\n");
    const keys = (key: string) => ({ SUPABASE_SECRET_KEYS: JSON.stringify({ default: key }) });
    assert.match(await whatWith(keys(`sb_secret_${crypto.randomUUID()}`)), /the API refuses the secret key/);
    assert.match(await whatWith(keys(stack.publishable_key)), /it is no secret key/);
    assert.match(
      await whatWith({ STRIPE_SECRET_KEY: `sk_test_${crypto.randomUUID().slice(0, 8)}` }),
      /^Stripe refuses the key$/,
    );
    assert.match(await whatWith({ SUPABASE_URL: "http://127.0.0.1:9" }), /the API does not answer/);
  },
});

Deno.test({
  ...options,
  name: "doctor: an event that never arrived is a warning, not an error",
  fn: async () => {
    const faults = async (request: RequestInit) => {
      const response = await fetch(`${stack.stripe_url}/_control/faults`, request);
      assert.equal(response.status, 200, await response.text());
    };
    await faults({ method: "POST", body: JSON.stringify({ deliver: { drop: 1 } }) });
    try {
      const lost = await stripe.customers.create({ email: "a@example.com" });
      await stripe.customers.update(lost.id, { name: "A" });
      const found = (await diagnose(await local())).find(({ what }) => /have not arrived/.test(what));
      assert.equal(found?.level, "warning");
      assert.match(found.fix, /deno task reconcile/);
    } finally {
      await faults({ method: "DELETE" });
    }
  },
});

Deno.test("doctor: with SUPABASE_URL in the environment it looks there, and names what is missing beside it", async () => {
  const dir = await Deno.makeTempDir();
  const given = { LOCAL_DIR: dir, SUPABASE_URL: "https://abcdefghijklmnopqrst.supabase.co" };
  const source = await findSource(null, given);
  await Deno.remove(dir);
  assert.equal(source.name, "the environment");
  const found = (await diagnose(source)).map(({ level, what, fix }) => `${level}: ${what}: ${fix}`);
  assert.ok(
    found.some((line) => /^error: STRIPE_SECRET_KEY is not usable: missing/.test(line)),
    found.join("\n"),
  );
  assert.ok(!nonEmpty(found).some((line) => line.includes("SUPABASE_URL is not usable")), found.join("\n"));
});

Deno.test("doctor: each missing or malformed variable is named, and mode and APP_ENV must fit", async () => {
  const folder = await Deno.makeTempDir();
  const envFile = `${folder}/.env`;
  try {
    await Deno.writeTextFile(
      envFile,
      `SUPABASE_URL=ftp://x\nSTRIPE_SECRET_KEY="sk_test_abcdefgh "\nAPP_ENV=development\n`,
    );
    const { code, output } = await runDoctor(["--env", envFile]);
    assert.equal(code, 1);
    assert.match(output, /^error +SUPABASE_URL is not usable {2}→ {2}malformed; /m);
    assert.match(output, /^error +LINK_SIGNING_SECRET is not usable {2}→ {2}missing; /m);
    assert.match(output, /^warning +STRIPE_SECRET_KEY begins or ends with white space/m);
    const { values, ...source } = await local();
    const found = await diagnose({ ...source, values: { ...values, APP_ENV: "production" } });
    assert.match(found[0]?.fix ?? "", /refused; APP_ENV=production needs a live key/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("doctor: shipping rates that leave delivery free, or that nobody sees, are named", () => {
  const rate = (name: string, countries: string[] | null, currency = "usd") => ({
    name,
    currency,
    countries,
  });
  const judged = (...rates: ReturnType<typeof rate>[]) =>
    judgeShipping(rates, ["US", "CA"]).map(({ level, what }) => `${level} ${what}`).join("; ");
  assert.match(judged(rate("World", null), rate("Both", ["CA", "MX", "US"])), /^ok /);
  assert.match(judged(), /^ok /);
  assert.match(
    judged(rate("World", null), rate("US only", ["US"])),
    /^warning .*nobody is offered: US only$/,
  );
  assert.match(
    judged(rate("US only", ["US"]), rate("CA only", ["CA"]), rate("World", null, "eur")),
    /^warning delivery is free in usd: .*US only, CA only/,
  );
});

Deno.test("doctor: a silent heartbeat and an old queue are errors", () => {
  const now = Date.parse("2026-11-24T12:00:00Z");
  const at = (minutes: number) => new Date(now - minutes * 60_000).toISOString();
  const what = (jobs: Record<string, unknown>) => judgeJobs(jobs, "project", now).map(({ what }) => what);
  assert.deepEqual(what({ last_run_at: null }), ["retry-jobs has never run"]);
  assert.deepEqual(what({ last_run_at: at(11) }), ["retry-jobs has not run for 11 minutes"]);
  assert.deepEqual(what({ last_run_at: at(1), oldest_due_seconds: 1_200 }), [
    "the oldest job has been due for 20 minutes",
  ]);
  assert.deepEqual(what({ last_run_at: at(1), due: 2 }), ["retry-jobs runs; 2 jobs due, none dead"]);
});

Deno.test("doctor: of several endpoints the enabled one with our API version counts, the others are surplus", () => {
  const endpoint = (id: string, more: object) =>
    ({
      id,
      status: "enabled",
      api_version: stripeApiVersion,
      enabled_events: ["*"],
      created: 1,
      ...more,
    }) as Stripe.WebhookEndpoint;
  const state = sortEndpoints([
    endpoint("we_old", { api_version: "2020-08-27" }),
    endpoint("we_off", { status: "disabled" }),
    endpoint("we_on", { created: 2, enabled_events: [...enabledEvents, "invoice.paid"] }),
  ]);
  assert.equal(state.current?.id, "we_on");
  assert.deepEqual(state.surplus.map(({ id }) => id), ["we_old"]);
  assert.deepEqual(judgeEndpoint(state, "https://x", "fix").map(({ level, what }) => [level, what]), [
    ["warning", "webhook endpoint we_on also sends invoice.paid"],
    ["warning", "webhook endpoint we_old delivers to the same address"],
  ]);
});

Deno.test("doctor: says when the database and ADMIN_REQUIRE_MFA disagree about the second factor of staff", () => {
  const said = (required: boolean, wanted: boolean) =>
    judgeStaff({ status: "ok", second_factor: required }, wanted)
      .map(({ level, what, fix }) => `${level} ${what} ${fix}`).join("; ");
  assert.match(said(true, true), /^ok staff need a second factor/);
  assert.match(said(false, false), /^ok staff need no second factor/);
  assert.match(said(true, false), /^warning .*ADMIN_REQUIRE_MFA is not true.*update private\.settings/);
  assert.match(said(false, true), /^warning .*ADMIN_REQUIRE_MFA is true.*deno task setup/);
});

Deno.test("doctor: an endpoint of an older version works and is named with how far it is behind, a newer one is an error", () => {
  const judged = (api_version: string) => {
    const endpoint = { id: "we_1", status: "enabled", api_version, enabled_events: ["*"], created: 1 };
    return judgeEndpoint(sortEndpoints([endpoint as Stripe.WebhookEndpoint]), "https://x", "fix")
      .map(({ level, what }) => [level, what]);
  };
  assert.deepEqual(judged("2024-06-20"), [
    ["warning", `webhook endpoint we_1 sends API version 2024-06-20, 2 years behind ${stripeApiVersion}`],
  ]);
  assert.deepEqual(judged("2031-01-01.later"), [
    ["error", `webhook endpoint we_1 sends API version 2031-01-01.later, not ${stripeApiVersion}`],
  ]);
});

Deno.test("doctor: a disabled endpoint of another version is disabled, not missing", () => {
  const endpoint = {
    id: "we_1",
    status: "disabled",
    api_version: "2020-08-27",
    enabled_events: [],
    created: 1,
  };
  const state = sortEndpoints([endpoint as unknown as Stripe.WebhookEndpoint]);
  assert.deepEqual(judgeEndpoint(state, "https://x", "fix").map(({ what }) => what), [
    "webhook endpoint we_1 is disabled at Stripe",
  ]);
});

Deno.test("doctor says what the shop says of deliveries: silence, the endpoint's alerts, a key that may not look", () => {
  const said = (figures: Record<string, unknown>) =>
    judgeWebhooks(figures).map(({ level, what }) => `${level} ${what}`).join("; ");
  assert.equal(said({ problems: [], endpoint: "missing" }), "ok every webhook event is applied");
  assert.equal(
    said({ problems: ["webhook_silence"], last_delivered_at: null }),
    "error money moves and Stripe delivers nothing (last delivery: never)",
  );
  assert.match(
    said({ problems: ["webhook_endpoint_disabled"] }),
    /^warning .*webhook_endpoint_disabled is open$/,
  );
  assert.match(
    said({ problems: ["webhook_endpoint_changed"] }),
    /^warning .*webhook_endpoint_changed is open$/,
  );
  assert.match(said({ endpoint: "not_permitted" }), /^warning .*may not read webhook endpoints/);
});

Deno.test("doctor: how far behind a version is, in words", () => {
  const behind = (version: string) => howFarBehind(version, "2026-10-28.endive");
  assert.equal(behind("2026-10-27.endive"), "1 day");
  assert.equal(behind("2026-08-26.dahlia"), "2 months");
  assert.equal(behind("2025-03-31.basil"), "18 months");
  assert.equal(behind("2018-11-08"), "7 years");
  assert.equal(behind("2026-10-28.endive"), null);
  assert.equal(behind("2031-01-01"), null);
  assert.equal(behind("none"), null);
});

Deno.test("doctor names the Auth setting under which an address is believed without proof", () => {
  const [off] = judgeAuth({ mailer_autoconfirm: true });
  assert.equal(off?.level, "warning");
  assert.match(`${off?.what} ${off?.fix}`, /Confirm email.*guest order/);
  assert.deepEqual(judgeAuth({ mailer_autoconfirm: false }).map(({ level }) => level), ["ok"]);
});

Deno.test("doctor --alert sends a test message, and says what the receiver made of it", async () => {
  const posted: { text: string; blocks: unknown[] }[] = [];
  const ask = (send: boolean, status: number, url: string | null = "https://chat.example/hook") =>
    checkAlerts(
      { env: { alertWebhookUrl: url } as Parameters<typeof checkAlerts>[0]["env"] },
      send,
      (_url, init) => {
        posted.push(JSON.parse(String(init?.body)));
        return Promise.resolve(new Response("no_team", { status }));
      },
    );
  assert.deepEqual(await ask(false, 200), []);
  assert.equal(posted.length, 0);
  assert.deepEqual((await ask(true, 200)).map(({ level }) => level), ["ok"]);
  assert.match(posted[0]?.text ?? "", /test/);
  assert.equal(posted[0]?.blocks.length, 2);
  const [refused] = await ask(true, 404);
  assert.match(`${refused?.level} ${refused?.what}`, /^error .*404 no_team/);
  const [unset] = await ask(true, 200, null);
  assert.equal(unset?.level, "error");
});
