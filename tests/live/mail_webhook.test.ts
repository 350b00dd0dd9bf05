import assert from "node:assert/strict";
import { mailWebhook } from "../../scripts/live/setup/mail_webhook.ts";
import { type Project, readEnvFile, SetupError } from "../../scripts/live/setup/project.ts";
import { openMailStore } from "../../scripts/local/web/mail_store.ts";
import { resendStandIn } from "../../scripts/local/web/resend.ts";
import { reportTypes } from "../../supabase/functions/mail-webhook/mail_event.ts";

const folder = await Deno.makeTempDir({ prefix: "kct-mail-webhook-test-" });
const envFile = `${folder}/.env`;
const pages = resendStandIn(await openMailStore(folder));
const server = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: () => {} },
  async (request) => await pages(request, new URL(request.url)) ?? new Response(null, { status: 404 }),
);
const another = `whsec_${"0".repeat(24)}`;
const apiBase = `http://127.0.0.1:${server.addr.port}/resend`;
Deno.test.afterAll(async () => {
  await server.shutdown();
  await Deno.remove(folder, { recursive: true });
});

/** Plans, and applies unless it is a dry run; answers the changes and what was said beside them. */
async function run({ apiKey = "re_full_access", dryRun = false, base = apiBase, setupKey = "" } = {}) {
  const values = await readEnvFile(envFile);
  if (setupKey !== "") values["RESEND_SETUP_API_KEY"] = setupKey;
  const said: string[] = [];
  const env = {
    mailProvider: "resend",
    resend: { apiKey, apiBase: base },
    emailFrom: "orders@example.com",
    supabaseUrl: "https://ref.supabase.co",
  };
  const project = { envFile, values, env } as unknown as Project;
  const context = { project, say: (line: string) => said.push(line) };
  const plan = await mailWebhook.plan(context as unknown as Parameters<typeof mailWebhook.plan>[0]);
  if (!dryRun) await plan.apply();
  return { changes: plan.changes, said };
}

async function resend(method: string, path: string, body?: unknown) {
  const response = await fetch(`${apiBase}${path}`, {
    method,
    headers: { authorization: "Bearer re_full_access" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return await response.json();
}

async function webhooks(): Promise<{ id: string; endpoint: string; status: string; events: string[] }[]> {
  return (await resend("GET", "/webhooks")).data;
}

async function storedSecrets(): Promise<string[]> {
  return (await readEnvFile(envFile))["RESEND_WEBHOOK_SECRETS"]?.split(",") ?? [];
}

Deno.test("setup creates Resend's webhook once, and keeps its signing secret beside others", async () => {
  await Deno.writeTextFile(envFile, `RESEND_WEBHOOK_SECRETS=${another}\n`);
  const planned = await run({ dryRun: true });
  assert.match(
    planned.changes.join(),
    /^create https:.*mail-webhook at Resend with 5 events,add its signing/,
  );
  assert.deepEqual(await webhooks(), []);
  await run();
  const [webhook] = await webhooks();
  assert.equal(webhook?.endpoint, "https://ref.supabase.co/functions/v1/mail-webhook");
  assert.deepEqual(webhook?.events, reportTypes);
  const { signing_secret: secret } = await resend("GET", `/webhooks/${webhook?.id}`);
  assert.deepEqual(await storedSecrets(), [another, secret]);

  assert.deepEqual((await run()).changes, []);
  assert.equal((await webhooks()).length, 1);
});

Deno.test("setup enables Resend's webhook again, with the events that are missing and those of others", async () => {
  const [before] = await webhooks();
  await resend("PATCH", `/webhooks/${before?.id}`, { status: "disabled", events: ["email.opened"] });
  const { changes } = await run();
  assert.ok(changes.includes(`enable ${before?.id}`), changes.join());
  assert.deepEqual(await webhooks(), [{ ...before, events: ["email.opened", ...reportTypes] }]);
});

Deno.test("setup stopped before it kept the signing secret: the next run reads it again", async () => {
  const secrets = await storedSecrets();
  await Deno.writeTextFile(envFile, "");
  assert.match((await run()).changes.join(), /^add the signing secret of /);
  assert.deepEqual(await storedSecrets(), secrets.slice(1));
});

Deno.test("setup leaves the webhook alone where the key may only send, and says so once nothing is known", async () => {
  const only = { apiKey: "re_sending_only", dryRun: true };
  assert.deepEqual(await run(only), { changes: [], said: [] });
  await Deno.writeTextFile(envFile, "");
  const { changes, said } = await run(only);
  assert.deepEqual(changes, []);
  assert.match(said.join(), /left to you: RESEND_API_KEY may only send\. Give setup .* RESEND_SETUP_API_KEY/);
  assert.match(
    (await run({ ...only, setupKey: "re_full_access" })).changes.join(),
    /^add the signing secret of /,
  );
});

Deno.test("setup says where Resend does not answer", async () => {
  await assert.rejects(
    run({ base: "http://127.0.0.1:1" }),
    (error) =>
      error instanceof SetupError && /^Resend does not answer at .*RESEND_API_BASE$/.test(error.message),
  );
});
