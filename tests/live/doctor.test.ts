import assert from "node:assert/strict";
import Stripe from "stripe";
import { diagnose } from "../../scripts/live/doctor.ts";
import type { Finding } from "../../scripts/live/doctor/finding.ts";
import { checkAlerts } from "../../scripts/live/doctor/alerts.ts";
import { findSource } from "../../scripts/live/doctor/subject.ts";
import { resolve } from "node:path";
import { webhookUrl } from "../../supabase/functions/_shared/jobs/webhook_endpoints.ts";
import { createStripe } from "../../supabase/functions/_shared/stripe/client.ts";
import { stripeApiVersion } from "../../supabase/functions/_shared/stripe/api_version.ts";
import { enabledEvents } from "../../supabase/functions/_shared/stripe_events/mod.ts";
import { eventually } from "../support/poll.ts";
import { type TestStack, testStack } from "../support/stack.ts";
import { nonEmpty } from "../support/non_empty.ts";

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

const options = { sanitizeOps: false, sanitizeResources: false };
const allEvents = enabledEvents as Stripe.WebhookEndpointCreateParams.EnabledEvent[];
const root = resolve(import.meta.dirname ?? "", "../..");

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
    // Deno itself would say when it waits for another process.
    args: ["run", "-A", "--quiet", "scripts/live/doctor.ts", ...args],
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
    assert.match(output, /^ok +\d functions answer for themselves$/m);
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
      const { code, output } = await runDoctor(["--json"]);
      assert.equal(code, 1, output);
      const found: Finding[] = JSON.parse(output).filter(({ level }: Finding) => level === "error");
      assert.deepEqual(found.map(({ what }) => what), [`webhook endpoint ${id} is disabled at Stripe`]);
      assert.notEqual(found[0]?.fix, "");
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
    const of = async (account: string, key?: string) => {
      const { values, ...source } = await local({ STRIPE_ACCOUNT_ID: account });
      const findings = await diagnose({
        ...source,
        values: { ...values, ...(key === undefined ? {} : { STRIPE_SECRET_KEY: key }) },
      });
      return findings.filter(({ what }) => /account/i.test(what)).map(({ level, what }) =>
        `${level} ${what}`
      );
    };
    const full = stack.stripe_secret_key;
    assert.deepEqual(await of("acct_1SomebodyElse", full), [
      "error STRIPE_ACCOUNT_ID is acct_1SomebodyElse, the key belongs to acct_1StandInAccount00",
    ]);
    assert.deepEqual(await of("acct_1StandInAccount00", full), [
      "ok STRIPE_ACCOUNT_ID is the account of the key",
    ]);
    // The functions do not need to read it, so their key cannot.
    assert.deepEqual(await of("acct_1StandInAccount00"), [
      "warning the account of the key could not be read",
    ]);
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
