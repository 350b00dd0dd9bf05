import assert from "node:assert/strict";
import type Stripe from "stripe";
import { checkDeployedSecrets } from "../../scripts/live/doctor/deployed_secrets.ts";
import { openSubject } from "../../scripts/live/doctor/subject.ts";
import { defaultFunctionEnv } from "../../scripts/local/function_env.ts";
import { loadKeys } from "../../scripts/local/keys.ts";
import { type CommandOutput } from "../../scripts/lib/command.ts";
import { supabaseCliMissing } from "../../scripts/quality/ok/supabase_cli.ts";
import { setUp } from "../../scripts/live/setup.ts";
import { webhookUrl } from "../../supabase/functions/_shared/jobs/webhook_endpoints.ts";
import { envLine } from "../../scripts/live/setup/env_file.ts";
import { functionNames } from "../../scripts/live/setup/bundle.ts";
import { type Project, readEnvFile, readProject } from "../../scripts/live/setup/project.ts";
import { schedule } from "../../scripts/live/setup/schedule.ts";
import { secrets } from "../../scripts/live/setup/secrets.ts";
import { type SupabaseCli, supabaseCli } from "../../scripts/live/setup/supabase.ts";
import { webhookEndpoint } from "../../scripts/live/setup/webhook_endpoint.ts";
import { createStripe } from "../../supabase/functions/_shared/stripe/client.ts";
import { stripeApiVersion } from "../../supabase/functions/_shared/stripe/api_version.ts";
import { enabledEvents } from "../../supabase/functions/_shared/stripe_events/mod.ts";
import { type ManagementApi, startManagementApi } from "../support/management_api.ts";
import { skipWithout } from "../support/optional_tool.ts";
import { scheduler } from "../support/scheduler.ts";
import { type TestStack, testStack } from "../support/stack.ts";
import { nonEmpty } from "../support/non_empty.ts";

const ref = "a".repeat(20);
const options = {
  ignore: skipWithout("the Supabase CLI", await supabaseCliMissing(".")),
  sanitizeOps: false,
  sanitizeResources: false,
};
const folder = await Deno.makeTempDir({ prefix: "kct-setup-test-" });
const envFile = `${folder}/.env`;

let stack: TestStack;
let stripe: Stripe;
let api: ManagementApi;

Deno.test.beforeAll(async () => {
  [stack, api] = await Promise.all([testStack({ web: true }), startManagementApi()]);
  stripe = createStripe({
    stripeSecretKey: stack.stripe_secret_key,
    stripeApiBase: new URL(stack.stripe_url),
  });
  await stack.sql.unsafe(scheduler).simple();
  const urls = { api: stack.api_url, web: stack.web_url, stripe: stack.stripe_url };
  const values = {
    ...defaultFunctionEnv(await loadKeys(stack.dir), urls),
    STRIPE_WEBHOOK_SECRETS: "",
    EMAIL_FROM: `O'Neill "Shop" $HOME <orders@example.com>`,
    SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}`,
    SUPABASE_PROFILE: api.profile,
    SUPABASE_PROJECT_REF: ref,
    SUPABASE_DB_URL: `${stack.db_url}?sslmode=disable`,
  };
  const lines = Object.entries(values).map(([name, value]) => envLine(name, value));
  await Deno.writeTextFile(envFile, `# The shop's secrets\n${lines.join("\n")}\n`);
});
Deno.test.afterAll(async () => {
  await stack.stop();
  await api[Symbol.asyncDispose]();
  await Deno.remove(folder, { recursive: true });
});

const answers = new Map<string, Promise<CommandOutput>>();

/**
 * The CLI. What it only reads it is asked once in each state of the project: a start takes a second of processor time
 * and would say the same again.
 */
function cliFor(project: Pick<Project, "values">): SupabaseCli {
  const cli = supabaseCli(project);
  return async (args) => {
    const command = args.join(" ");
    if (!command.startsWith("secrets list ") && !command.startsWith("db push --dry-run ")) {
      return await cli(args);
    }
    const pushed = await stack
      .sql`select version from supabase_migrations.schema_migrations order by version`;
    const state = JSON.stringify([args, [...api.secrets], pushed]);
    const answer = answers.get(state) ?? cli(args);
    answers.set(state, answer);
    return await answer;
  };
}

/** Runs setup as the command does; returns its exit code and output. */
async function run(dryRun: boolean, change: Record<string, string | undefined> = {}, only?: string) {
  const project = await readProject(envFile);
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined) delete project.values[name];
    else project.values[name] = value;
  }
  const lines: string[] = [];
  const context = {
    project,
    stripe,
    supabase: cliFor(project),
    say: (line: string) => lines.push(line),
  };
  const code = await setUp(context, { dryRun, only });
  return { code, output: lines.join("\n"), project };
}

async function ownEndpoints(): Promise<Stripe.WebhookEndpoint[]> {
  const { data } = await stripe.webhookEndpoints.list({ limit: 100 });
  return data.filter(({ url }) => url === webhookUrl(stack.api_url));
}

Deno.test({
  ...options,
  name: "setup --dry-run prints what would change and changes nothing",
  fn: async () => {
    for (const { id } of await ownEndpoints()) await stripe.webhookEndpoints.del(id);
    const before = await Deno.readTextFile(envFile);
    const history = await stack.sql`
      delete from supabase_migrations.schema_migrations where version = (select max(version) from supabase_migrations.schema_migrations)
      returning version, name, statements
    `;
    const { code, output } = await run(true);
    await stack.sql`insert into supabase_migrations.schema_migrations ${stack.sql(history)}`;
    assert.equal(code, 0, output);
    assert.match(output, /migrations:\n {2}push \d{14}_schedule\.sql\nwebhook endpoint:/);
    assert.match(output, /create http.*stripe-webhook with API version/);
    assert.match(output, /create http.*mail-webhook at Resend with 5 events/);
    assert.match(output, /set STRIPE_SECRET_KEY/);
    assert.match(output, /deploy stripe-webhook/);
    assert.match(output, /have pg_cron call .*retry-jobs every minute/);
    assert.deepEqual(await ownEndpoints(), []);
    assert.deepEqual(api.writes, []);
    assert.equal(await Deno.readTextFile(envFile), before);
    assert.equal((await stack.sql`select from cron.job`).length, 0);
  },
});

Deno.test({
  ...options,
  name: "setup creates the endpoint, keeps its signing secret, sets secrets, deploys and schedules",
  fn: async () => {
    const { code, output } = await run(false);
    assert.equal(code, 0, output);
    const [endpoint, ...more] = await ownEndpoints();
    assert.deepEqual(more, []);
    assert.equal(endpoint?.api_version, stripeApiVersion);
    assert.deepEqual(endpoint?.enabled_events, enabledEvents);
    assert.deepEqual(api.released.map(({ slug }) => slug).sort(), await functionNames());

    const values = await readEnvFile(envFile);
    assert.equal(values["STRIPE_WEBHOOK_SECRETS"], stack.stripe_webhook_secret);
    assert.match(await Deno.readTextFile(envFile), /^# The shop's secrets\n/);
    assert.equal(api.secrets.get("STRIPE_WEBHOOK_SECRETS"), stack.stripe_webhook_secret);
    assert.match(api.secrets.get("RESEND_WEBHOOK_SECRETS") ?? "", /^whsec_[^,]+,whsec_[^,]+$/);
    assert.equal(api.secrets.get("EMAIL_FROM"), `O'Neill "Shop" $HOME <orders@example.com>`);
    assert.ok(nonEmpty(api.secrets.keys()).every((name) => !name.startsWith("SUPABASE_")));

    const [job] = await stack.sql`select command from cron.job where jobname = 'retry-jobs'`;
    assert.equal(job?.command, "select private.call_retry_jobs()");
    const targets = await stack.sql`select decrypted_secret from vault.decrypted_secrets order by name`;
    assert.deepEqual(targets.map((row) => row.decrypted_secret), [
      stack.secret_key,
      `${stack.functions_url}/retry-jobs`,
    ]);
    for (const secret of [stack.secret_key, stack.stripe_secret_key, stack.stripe_webhook_secret]) {
      assert.ok(!output.includes(secret));
    }
  },
});

Deno.test({
  ...options,
  name: "setup --only functions deploys them and touches nothing else",
  fn: async () => {
    const since = api.writes.length;
    const { code, output } = await run(false, {}, "functions");
    assert.equal(code, 0, output);
    assert.match(output, /^functions:\n {2}deploy /m);
    assert.ok(!/migrations:|secrets:/.test(output), output);
    const strange = nonEmpty(api.writes.slice(since)).filter((call) => !call.includes("/functions"));
    assert.deepEqual(strange, []);
  },
});

Deno.test({
  ...options,
  name: "setup run again changes nothing",
  fn: async () => {
    const [before] = await ownEndpoints();
    const file = await Deno.readTextFile(envFile);
    api.writes.splice(0);
    const { code, output } = await run(false);
    assert.equal(code, 0, output);
    const settled = [
      "migrations",
      "webhook endpoint",
      "mail webhook",
      "secrets",
      "other endpoints at our address",
      "schedule",
      "exposed schemas",
    ];
    for (const step of settled) assert.ok(output.includes(`${step}:\n  as it should be`), output);
    assert.ok(!nonEmpty(api.writes).some((write) => write.endsWith("/secrets")), api.writes.join());
    assert.deepEqual(await ownEndpoints(), [before]);
    assert.equal(await Deno.readTextFile(envFile), file);
  },
});

Deno.test({
  ...options,
  name: "setup brings events and state of a changed endpoint back, and disables a second one",
  fn: async () => {
    const [endpoint] = await ownEndpoints();
    assert.ok(endpoint);
    const changedEvents = [
      ...enabledEvents.filter((event) => event !== "refund.failed"),
      "invoice.paid",
    ] as Stripe.WebhookEndpointUpdateParams.EnabledEvent[];
    await stripe.webhookEndpoints.update(endpoint.id, {
      disabled: true,
      enabled_events: changedEvents,
    });
    const old = await stripe.webhookEndpoints.create({ url: endpoint.url, enabled_events: ["*"] });
    const { code, output } = await run(false, { SUPABASE_DB_URL: undefined });
    // Without a database address the CLI would have to reach the project's pooler, which the recorder has not.
    assert.equal(code, 1);
    assert.match(output, /migrations:\n {2}error: supabase db push failed/);
    assert.match(output, /Set SUPABASE_DB_URL/);
    assert.match(output, /Nothing was changed/);
    assert.equal((await ownEndpoints()).find(({ id }) => id === endpoint.id)?.status, "disabled");

    const again = await run(false);
    assert.equal(again.code, 0, again.output);
    assert.match(again.output, new RegExp(`add refund.failed to ${endpoint.id}`));
    assert.match(again.output, new RegExp(`remove invoice.paid from ${endpoint.id}`));
    assert.match(again.output, new RegExp(`enable ${endpoint.id}`));
    const now = new Map((await ownEndpoints()).map((found) => [found.id, found]));
    assert.equal(now.get(endpoint.id)?.status, "enabled");
    assert.deepEqual(now.get(endpoint.id)?.enabled_events, enabledEvents);
    assert.equal(now.get(old.id)?.status, "disabled");
  },
});

Deno.test({
  ...options,
  name: "setup schedules through the CLI where no database address is given",
  fn: async () => {
    const project = await readProject(envFile);
    delete project.values["SUPABASE_DB_URL"];
    const plan = await schedule.plan({
      project,
      stripe,
      supabase: supabaseCli(project),
      say: () => {},
    });
    await plan.apply();
    assert.deepEqual(api.queries.map((query) => query.trim()), [
      `select private.set_schedule_target('${stack.functions_url}/retry-jobs', '${stack.secret_key}');`,
    ]);
  },
});

Deno.test({
  ...options,
  name: "setup stops before anything changes when an endpoint's signing secret is nowhere to be had",
  fn: async () => {
    const { code, output } = await run(false, { STRIPE_WEBHOOK_SECRETS: undefined });
    assert.equal(code, 1);
    assert.match(
      output,
      /STRIPE_WEBHOOK_SECRETS is empty and the endpoint we_\w+ exists: copy its signing secret/,
    );
    assert.match(output, /Nothing was changed/);
  },
});

Deno.test({
  ...options,
  name:
    "an endpoint whose signing secret a dying run has lost is replaced, and only then the one that delivers",
  fn: async () => {
    for (const { id } of await ownEndpoints()) await stripe.webhookEndpoints.del(id);
    const old = await stripe.webhookEndpoints.create({
      url: webhookUrl(stack.api_url),
      enabled_events: ["*"],
    });
    const project = await readProject(envFile);
    project.values["STRIPE_WEBHOOK_SECRETS"] = "whsec_of_the_old_endpoint";
    project.envFile = `${folder}/nowhere/.env`;
    const plan = await webhookEndpoint.plan({ project, stripe, supabase: cliFor(project), say: () => {} });
    await assert.rejects(plan.apply(), Deno.errors.NotFound);
    const lost = (await ownEndpoints()).find(({ id }) => id !== old.id);
    assert.ok(lost);

    const { code, output } = await run(false);
    assert.equal(code, 0, output);
    assert.match(output, new RegExp(`delete ${lost.id}, whose signing secret was not kept\n {2}create http`));
    const now = await ownEndpoints();
    assert.deepEqual(now.filter(({ id }) => id === lost.id), []);
    assert.deepEqual(now.filter(({ status }) => status === "disabled").map(({ id }) => id), [old.id]);
    assert.match((await run(true)).output, /webhook endpoint:\n {2}as it should be/);
  },
});

Deno.test({
  ...options,
  name: "doctor compares the project's secrets with the env file by digest",
  fn: async () => {
    const values = await readEnvFile(envFile);
    const subject = openSubject({ kind: "project", name: envFile, values });
    assert.ok(!Array.isArray(subject));
    const cli = cliFor(subject);
    assert.deepEqual((await checkDeployedSecrets(subject, cli)).map(({ level }) => level), ["ok"]);
    api.secrets.delete("SITE_URL");
    api.secrets.set("APP_ENV", "staging");
    assert.deepEqual((await checkDeployedSecrets(subject, cli)).map(({ level, what }) => [level, what]), [
      ["warning", "APP_ENV has another value in the project than here"],
      ["error", "SITE_URL is not set in the project"],
    ]);
  },
});

Deno.test({
  ...options,
  name: "setup unsets what the env file empties, and doctor vouches for nothing that differs",
  fn: async () => {
    const file = await Deno.readTextFile(envFile);
    api.secrets.set("RESEND_API_KEY", "re_old_and_revoked");
    api.secrets.set("CHECKOUT_TURNSTILE_SECRET", "0x4AAAAAAA");
    await Deno.writeTextFile(envFile, `${file}RESEND_API_KEY=\n`);
    try {
      const values = await readEnvFile(envFile);
      const subject = openSubject({ kind: "project", name: envFile, values });
      assert.ok(!Array.isArray(subject));
      const found = (await checkDeployedSecrets(subject, cliFor(subject))).map((
        { level, what },
      ) => [level, what]);
      const differing = [
        ["warning", "RESEND_API_KEY is empty here and set in the project"],
        ["warning", "CHECKOUT_TURNSTILE_SECRET is set in the project and not named here"],
      ];
      for (const finding of differing) {
        assert.deepEqual(found.filter(([, what]) => what === finding[1]), [finding]);
      }

      const project = await readProject(envFile);
      const plan = await secrets.plan({ project, stripe, supabase: cliFor(project), say: () => {} });
      assert.ok(plan.changes.includes("unset RESEND_API_KEY"), `${plan.changes}`);
      assert.ok(api.secrets.has("RESEND_API_KEY"), "a plan changes nothing");
      await plan.apply();
      assert.ok(!api.secrets.has("RESEND_API_KEY"));
      assert.ok(api.secrets.has("CHECKOUT_TURNSTILE_SECRET"), "what the file does not mention is left alone");
    } finally {
      api.secrets.delete("CHECKOUT_TURNSTILE_SECRET");
      await Deno.writeTextFile(envFile, file);
    }
  },
});
