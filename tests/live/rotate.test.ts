/** `deno task rotate` where it must not go on, what it asks of providers, and what doctor says of it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type Stripe from "stripe";
import { checkRotations } from "../../scripts/live/doctor/rotations.ts";
import { envFileOf } from "../../scripts/live/rotate.ts";
import { rotate, type RotateOptions } from "../../scripts/live/rotate/engine.ts";
import { progressText, type Stage } from "../../scripts/live/rotate/progress.ts";
import { rotations } from "../../scripts/live/rotate/registry.ts";
import { workerMs } from "../../scripts/live/rotate/rotation.ts";
import { envLine } from "../../scripts/live/setup/env_file.ts";
import type { SetupContext } from "../../scripts/live/setup/step.ts";
import { allEvents, webhookEndpoint } from "../../scripts/live/setup/webhook_endpoint.ts";
import { readEnvFile, readProject } from "../../scripts/live/setup/project.ts";
import { ROOT } from "../../scripts/lib/paths.ts";
import { defaultFunctionEnv } from "../../scripts/local/function_env.ts";
import { makeKeys } from "../../scripts/local/keys.ts";
import { supabaseCliMissing } from "../../scripts/quality/ok/supabase_cli.ts";
import { isKeyVariable } from "../../scripts/live/pci/key_ages.ts";
import { environmentVariables } from "../../supabase/functions/_shared/env.ts";
import { webhookUrl } from "../../supabase/functions/_shared/jobs/webhook_endpoints.ts";
import { stripeApiVersion } from "../../supabase/functions/_shared/stripe/api_version.ts";
import { createStripe } from "../../supabase/functions/_shared/stripe/client.ts";
import { cliOf, type ManagementApi, startManagementApi } from "../support/management_api.ts";
import { nonEmpty } from "../support/non_empty.ts";
import { skipWithout } from "../support/optional_tool.ts";

const dayMs = 86_400_000;
const folder = await Deno.makeTempDir({ prefix: "kct-rotate-" });
const envFile = join(folder, ".env");
let api: ManagementApi;

Deno.test.beforeEach(async () => {
  api = await startManagementApi();
  const urls = { api: "http://127.0.0.1:9", web: "http://127.0.0.1:9", stripe: "http://127.0.0.1:9" };
  const values = {
    ...defaultFunctionEnv(await makeKeys(), urls),
    METRICS_TOKEN: crypto.randomUUID(),
    RESEND_API_KEY: "re_first_key",
    POSTMARK_SERVER_TOKEN: "first-token",
    UPSTASH_REDIS_REST_URL: "https://redis.example",
    UPSTASH_REDIS_REST_TOKEN: "first-token",
    CHECKOUT_TURNSTILE_SECRET: "first-secret",
    OTEL_EXPORTER_OTLP_ENDPOINT: "https://collector.example",
    OTEL_EXPORTER_OTLP_HEADERS: "x-key=first",
    ALERT_WEBHOOK_URL: "https://alerts.example/first",
    SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}`,
    SUPABASE_PROFILE: api.profile,
    SUPABASE_PROJECT_REF: "a".repeat(20),
  };
  for (const [name, value] of Object.entries(values)) {
    if (!name.startsWith("SUPABASE_")) api.secrets.set(name, value);
  }
  const lines = Object.entries(values).map(([name, value]) => `${envLine(name, value)}\n`);
  await Deno.writeTextFile(envFile, lines.join(""));
});
Deno.test.afterEach(async () => await api[Symbol.asyncDispose]());
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));

interface Given extends Partial<RotateOptions> {
  now?: number;
  pasted?: string;
  provider?: (request: Request) => Response | Promise<Response>;
  stripe?: object;
}

/** Runs the task as its command does, against providers that answer as told. */
async function run(
  variable: string,
  { now = Date.now(), pasted = "", provider, stripe, ...options }: Given = {},
) {
  const project = await readProject(envFile);
  const rotation = rotations.find((known) => known.variable === variable);
  assert.ok(rotation !== undefined);
  const said: string[] = [];
  const code = await rotate(
    {
      project,
      stripe: stripe === undefined ? createStripe(project.env) : stripe as ReturnType<typeof createStripe>,
      supabase: cliOf(api),
      say: (line) => said.push(line),
      now: () => now,
      fetch: async (input, init) => {
        assert.ok(provider !== undefined, "nobody is asked");
        return await provider(new Request(input, init));
      },
      ask: () => Promise.resolve(pasted),
      file: envFileOf(project),
    },
    rotation,
    { finish: false, back: false, leaked: false, dryRun: false, ...options },
  );
  return { code, said: said.join("\n") };
}

async function valueOf(variable: string): Promise<string> {
  return (await readEnvFile(envFile))[variable] ?? "";
}

Deno.test("every key among the variables can be rotated, and docs/rotation.md has each", async () => {
  const known = rotations.map(({ variable }) => variable);
  for (const name of nonEmpty(environmentVariables.filter(isKeyVariable))) {
    assert.ok(known.includes(name), name);
  }
  const text = await Deno.readTextFile(join(ROOT, "docs/rotation.md"));
  for (const name of known) assert.match(text, new RegExp(`^### .*\`${name}\``, "m"), name);
});

Deno.test("rotate --dry-run says the next step and changes nothing, at every stage", async () => {
  const steps: [Partial<RotateOptions>, number, RegExp][] = [
    [{}, 0, /make a new secret, and have the functions accept links of both/],
    [{}, workerMs, /sign links with the new one/],
    [{ back: true }, 0, /use the one before, and accept the new one/],
    [{ finish: true }, 90 * dayMs + workerMs, /accept no link of the old one any more/],
  ];
  let now = Date.now();
  for (const [options, ms, says] of steps) {
    now += ms;
    const before = await Deno.readTextFile(envFile), secrets = [...api.secrets];
    const { code, said } = await run("LINK_SIGNING_SECRET", { ...options, now, dryRun: true });
    assert.equal(code, 0);
    assert.match(said, says);
    assert.match(said, /Dry run: nothing was changed/);
    assert.equal(await Deno.readTextFile(envFile), before);
    assert.deepEqual([...api.secrets], secrets);
    if (options.back !== true) await run("LINK_SIGNING_SECRET", { ...options, now });
  }
});

Deno.test("rotate has a new secret accepted before it is used, and tells from when on", async () => {
  const variable = "LINK_SIGNING_SECRET";
  const old = await valueOf(variable);
  const now = Date.parse("2026-03-01T10:00:00Z");
  assert.match((await run(variable, { now })).said, /from 2026-03-01 10:07 UTC on: deno task rotate LINK_/);
  const fresh = (await valueOf(variable)).split(",")[1] ?? "";
  assert.match(fresh, /^[0-9a-f]{64}$/);
  assert.equal(api.secrets.get(variable), `${old},${fresh}`);
  assert.equal((await run(variable, { now: now + workerMs - 1 })).code, 1);
  assert.equal(api.secrets.get(variable), `${old},${fresh}`);
  const used = await run(variable, { now: now + workerMs });
  assert.equal(api.secrets.get(variable), `${fresh},${old}`);
  assert.match(used.said, /from 2026-05-30 10:14 UTC on: deno task rotate LINK_SIGNING_SECRET --finish/);
  await run(variable, { now: now + 2 * workerMs + 90 * dayMs, finish: true });
  assert.equal(api.secrets.get(variable), fresh);
  for (const secret of [old, fresh]) assert.ok(!used.said.includes(secret), "no value is shown");
});

Deno.test("rotate does not begin where the project has another value, there is none, or there are two", async () => {
  api.secrets.set("METRICS_TOKEN", "another");
  await assert.rejects(run("METRICS_TOKEN"), /METRICS_TOKEN has another value in the project than in/);
  await Deno.writeTextFile(envFile, (await Deno.readTextFile(envFile)).replace(/^METRICS_TOKEN=.*$/m, ""));
  await assert.rejects(run("METRICS_TOKEN"), /METRICS_TOKEN is not set in .*: there is nothing to rotate/);
  const two = `LINK_SIGNING_SECRET=${"x".repeat(32)},${"y".repeat(32)}`;
  await Deno.writeTextFile(envFile, (await Deno.readTextFile(envFile)).replace(/^LINK_.*$/m, two));
  await assert.rejects(run("LINK_SIGNING_SECRET"), /holds several values and no rotation was begun here/);
  for (const options of [{ finish: true }, { back: true }]) {
    await assert.rejects(
      run("LINK_SIGNING_SECRET", options),
      /No rotation of LINK_SIGNING_SECRET is under way/,
    );
  }
});

/** How each provider answers a key that it takes, and one that it does not. */
const providers: [variable: string, second: string, taken: Response, refused: Response][] = [
  [
    "RESEND_API_KEY",
    "re_second_key",
    Response.json({ name: "restricted_api_key" }, { status: 401 }),
    Response.json({ name: "validation_error", message: "API key is invalid" }, { status: 400 }),
  ],
  ["POSTMARK_SERVER_TOKEN", "second-token", Response.json({}), new Response(null, { status: 401 })],
  ["UPSTASH_REDIS_REST_TOKEN", "second-token", Response.json({}), new Response(null, { status: 401 })],
  [
    "CHECKOUT_TURNSTILE_SECRET",
    "second-secret",
    Response.json({ success: false, "error-codes": ["invalid-input-response"] }),
    Response.json({ success: false, "error-codes": ["invalid-input-secret"] }),
  ],
  ["OTEL_EXPORTER_OTLP_HEADERS", "x-key=second", Response.json({}), new Response(null, { status: 403 })],
];

for (const [variable, second, taken, refused] of providers) {
  Deno.test(`${variable} is tried before it is used, and the first must be refused in the end`, async () => {
    const first = await valueOf(variable);
    const answering = (valid: string[]) => async (request: Request) => {
      const sent = `${[...request.headers].join()}${await request.text()}`;
      const secretOf = (value: string) => value.replace("x-key=", "");
      return (valid.some((value) => sent.includes(secretOf(value))) ? taken : refused).clone();
    };
    const before = await Deno.readTextFile(envFile);
    await assert.rejects(
      run(variable, { pasted: second, provider: answering([first]) }),
      /is not taken there: the functions keep the first/,
    );
    await assert.rejects(run(variable, { pasted: first }), /is no new/);
    assert.equal(api.secrets.get(variable), first);
    await run(variable, { back: true });
    assert.equal(await Deno.readTextFile(envFile), before);

    const { said } = await run(variable, { pasted: second, provider: answering([first, second]) });
    assert.match(said, /By hand: delete the first key at /);
    assert.equal(api.secrets.get(variable), second);
    const later = { finish: true, now: Date.now() + workerMs };
    const early = await run(variable, { ...later, provider: answering([first, second]) });
    assert.match(early.said, /Not yet: the first key is still taken: delete it/);
    const lost = await run(variable, { ...later, provider: answering([]) });
    assert.match(lost.said, /Not yet: the new .* is not taken any more/);
    assert.equal((await run(variable, { ...later, provider: answering([second]) })).code, 0);
    assert.deepEqual([await valueOf(variable), await valueOf(`ROTATION_${variable}`)], [second, ""]);
  });
}

Deno.test({
  name: "the command takes a value from stdin, sets it with the Supabase CLI, and shows no value",
  ignore: skipWithout("the Supabase CLI", await supabaseCliMissing(".")),
  async fn() {
    const second = "https://alerts.example/second";
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "scripts/live/rotate.ts", "ALERT_WEBHOOK_URL", "--env", envFile],
      cwd: ROOT,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(`${second}\n`));
    await writer.close();
    const { code, stdout, stderr } = await child.output();
    const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.equal(code, 0, output);
    assert.equal(api.secrets.get("ALERT_WEBHOOK_URL"), second);
    assert.match(output, /--finish/);
    assert.ok(!output.includes("alerts.example"), output);
  },
});

Deno.test("doctor says which rotation stands still, and of which two values nobody knows since when", () => {
  const now = Date.parse("2026-06-01T00:00:00Z");
  const found = (values: Record<string, string>) =>
    checkRotations({ values }, now).map(({ level, what, fix }) => `${level} ${what} → ${fix}`);
  const line = (stage: Stage, days: number) => progressText({ stage, at: now - days * dayMs, old: "old" });
  assert.deepEqual(found({ LINK_SIGNING_SECRET: "one" }), ["ok no secret is half rotated → "]);
  assert.deepEqual(found({ ROTATION_LINK_SIGNING_SECRET: line("accepted", 3) }), [
    "warning the rotation of LINK_SIGNING_SECRET has stood still for 3 days → deno task rotate LINK_SIGNING_SECRET",
  ]);
  assert.match(
    found({ ROTATION_LINK_SIGNING_SECRET: line("used", 80) }).join(),
    /^ok LINK_SIGNING_SECRET is/,
  );
  assert.match(found({ ROTATION_LINK_SIGNING_SECRET: line("used", 91) }).join(), /SECRET --finish$/);
  assert.match(
    found({ STRIPE_WEBHOOK_SECRETS: "a,b" }).join(),
    /^warning STRIPE_WEBHOOK_SECRETS holds several/,
  );
  assert.deepEqual(found({ SUPABASE_SECRET_KEYS: '{"a":"b","c":"d"}' }), ["ok no secret is half rotated → "]);
  assert.match(
    found({ ROTATION_METRICS_TOKEN: "x" }).join(),
    /^warning the line of METRICS_TOKEN's rotation/,
  );
  assert.match(
    found({ ROTATION_NOTHING: line("used", 1) }).join(),
    /^warning ROTATION_NOTHING is about nothing/,
  );
});

/** Writes what the runs of a rotation before have left. */
async function underWay(
  variable: string,
  stage: Stage,
  at: number,
  old: string,
  fresh: string,
): Promise<void> {
  const text = await Deno.readTextFile(envFile);
  const rest = text.split("\n").filter((line) => !line.startsWith(`${variable}=`)).join("\n");
  const lines = [
    envLine(variable, `${fresh},${old}`),
    envLine(`ROTATION_${variable}`, progressText({ stage, at, old })),
  ];
  await Deno.writeTextFile(envFile, `${rest}${lines.join("\n")}\n`);
  api.secrets.set(variable, `${fresh},${old}`);
}

Deno.test("setup keeps an endpoint of a rotation whose run died when it had kept the secret", async () => {
  const now = Date.now();
  const variable = "STRIPE_WEBHOOK_SECRETS";
  await underWay(variable, "accepted", now - workerMs, "whsec_the_first_one", "whsec_the_second_one");
  const { supabaseUrl } = (await readProject(envFile)).env;
  const kind = { url: webhookUrl(supabaseUrl), api_version: stripeApiVersion, status: "enabled", created: 1 };
  let endpoints = [
    { ...kind, id: "we_first", enabled_events: allEvents, metadata: { signing_secret: "saved" } },
    {
      ...kind,
      id: "we_second",
      enabled_events: ["x"],
      metadata: { signing_secret: "unsaved", rotation: "next" },
    },
  ] as unknown as Stripe.WebhookEndpoint[];
  const stripe = {
    webhookEndpoints: {
      list: () => ({ autoPagingToArray: () => Promise.resolve(endpoints) }),
      del: (id: string) => {
        endpoints = endpoints.filter((endpoint) => endpoint.id !== id);
        return Promise.resolve();
      },
      update: (id: string, { metadata, ...changes }: Stripe.WebhookEndpointUpdateParams) => {
        const found = endpoints.find((endpoint) => endpoint.id === id);
        const merged = Object.entries({ ...found?.metadata, ...metadata as object }).filter(([, text]) =>
          text !== ""
        );
        Object.assign(found ?? {}, changes, { metadata: Object.fromEntries(merged) });
        return Promise.resolve();
      },
    },
  };
  assert.equal((await run(variable, { now, stripe })).code, 0);
  assert.equal((await run(variable, { now, stripe, finish: true, leaked: true })).code, 0);
  const project = await readProject(envFile);
  const context = { project, stripe, supabase: cliOf(api), say: () => {} } as unknown as SetupContext;
  assert.deepEqual((await webhookEndpoint.plan(context)).changes, []);
});

Deno.test("rotate does not end while what takes the first one's place is gone", async () => {
  const now = Date.now();
  const begun = (variable: string, old: string, fresh: string) =>
    underWay(variable, "used", now - workerMs, old, fresh);
  const url = `${(await readProject(envFile)).env.supabaseUrl}/functions/v1`;

  await begun("STRIPE_WEBHOOK_SECRETS", "whsec_the_first_one", "whsec_the_second_one");
  const deleted: string[] = [];
  const first = { id: "we_first", url: `${url}/stripe-webhook`, metadata: {} };
  const stripe = {
    webhookEndpoints: {
      list: () => ({ autoPagingToArray: () => Promise.resolve([first]) }),
      del: (id: string) => Promise.resolve(void deleted.push(id)),
    },
    events: {
      list: ({ delivery_success: delivered }: { delivery_success: boolean }) =>
        Promise.resolve({ data: delivered ? [{ id: "evt_1", type: "charge.succeeded" }] : [] }),
    },
  };
  for (const leaked of [false, true]) {
    const { code, said } = await run("STRIPE_WEBHOOK_SECRETS", { now, finish: true, leaked, stripe });
    assert.match(said, /Not yet: the second endpoint is not at Stripe any more/);
    assert.equal(code, 1);
  }

  const secret = (name: string) => `whsec_${btoa(name.repeat(8))}`;
  await begun("RESEND_WEBHOOK_SECRETS", secret("first"), secret("second"));
  const webhook = {
    id: "wh_first",
    endpoint: `${url}/mail-webhook`,
    signing_secret: secret("first"),
    status: "enabled",
    events: [],
  };
  await using resend = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    if (request.method === "DELETE") deleted.push(request.url);
    return Response.json(request.url.includes("/webhooks?") ? { data: [webhook], has_more: false } : webhook);
  });
  await Deno.writeTextFile(envFile, `RESEND_API_BASE=http://127.0.0.1:${resend.addr.port}\n`, {
    append: true,
  });
  const { code, said } = await run("RESEND_WEBHOOK_SECRETS", { now, finish: true });
  assert.match(said, /Not yet: the second webhook is not at Resend any more/);
  assert.equal(code, 1);
  assert.deepEqual(deleted, []);
  assert.equal(api.secrets.get("STRIPE_WEBHOOK_SECRETS"), "whsec_the_second_one,whsec_the_first_one");
});
