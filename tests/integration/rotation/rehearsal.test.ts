/** Every secret is rotated while the shop is open, by the task's own code, which dies wherever it can. */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { envFileOf } from "../../../scripts/live/rotate.ts";
import { rotate, type RotateOptions } from "../../../scripts/live/rotate/engine.ts";
import { rotations } from "../../../scripts/live/rotate/registry.ts";
import { type Progress, readProgress, type Stage } from "../../../scripts/live/rotate/progress.ts";
import { type RotateContext, type Rotation, workerMs } from "../../../scripts/live/rotate/rotation.ts";
import { readEnvFile, readProject } from "../../../scripts/live/setup/project.ts";
import { testStack } from "../../support/stack.ts";
import { flush } from "../checkout/shop.ts";
import { type TestProject, testProject } from "./project.ts";
import { type Traffic, trafficOf } from "./traffic.ts";

const stripeKey = () => `rk_test_${crypto.randomUUID().replaceAll("-", "")}`;

/** After each effect of a run once, the run ends there. */
class Deaths {
  readonly #died = new Set<string>();
  #last = "";

  async around<T>(effect: string, work: () => Promise<T>): Promise<T> {
    const answer = await work();
    if (this.#died.has(effect)) return answer;
    this.#died.add(effect);
    this.#last = effect;
    throw new Error(`died after ${effect}`);
  }

  /** Whether the run that has just failed died here. */
  took(): boolean {
    const happened = this.#last !== "";
    this.#last = "";
    return happened;
  }
}

/** Runs the task once. @param deaths null: it lives. */
async function run(
  project: TestProject,
  rotation: Rotation,
  options: Partial<RotateOptions>,
  deaths: Deaths | null,
): Promise<{ code: number; said: string }> {
  const target = await readProject(project.envFile);
  const around = <T>(effect: string, work: () => Promise<T>): Promise<T> =>
    deaths === null ? work() : deaths.around(effect, work);
  const file = envFileOf(target);
  const { webhookEndpoints } = project.stripe;
  const said: string[] = [];
  const context: RotateContext = {
    project: target,
    stripe: {
      events: project.stripe.events,
      webhookEndpoints: {
        list: (params: Stripe.WebhookEndpointListParams) => webhookEndpoints.list(params),
        create: (params: Stripe.WebhookEndpointCreateParams) =>
          around("endpoint created", () => webhookEndpoints.create(params)),
        update: (id: string, params: Stripe.WebhookEndpointUpdateParams) =>
          around(`endpoint ${Object.keys(params)} updated`, () => webhookEndpoints.update(id, params)),
        del: (id: string) => around("endpoint deleted", () => webhookEndpoints.del(id)),
      },
    } as unknown as Stripe,
    supabase: (args) =>
      args[1] === "set" ? around("secrets set", () => project.supabase(args)) : project.supabase(args),
    say: (line) => said.push(line),
    now: Date.now,
    fetch,
    ask: () => {
      const key = stripeKey();
      project.stripeKeys.add(key);
      return Promise.resolve(key);
    },
    file: {
      set: (name, value) =>
        around(`${name} ${value.split(" ")[0]?.slice(0, 8)}`, () => file.set(name, value)),
      remove: (name) => around(`${name} removed`, () => file.remove(name)),
    },
  };
  const plain = globalThis.fetch;
  globalThis.fetch = (input, init) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input);
    const method = init?.method ?? "GET";
    return method !== "GET" && /\/(webhooks|api-keys)(\/|$)/.test(pathname)
      ? around(`${method} ${pathname.replace(/[^/]*-[^/]*$/, "")}`, () => plain(input, init))
      : plain(input, init);
  };
  try {
    const all = { finish: false, back: false, leaked: false, dryRun: false, ...options };
    return { code: await rotate(context, rotation, all), said: said.join("\n") };
  } finally {
    globalThis.fetch = plain;
  }
}

/** Runs it until the rotation is at this stage (null: over), again after each death; everybody comes meanwhile. */
async function reach(
  stage: Stage | null,
  { project, traffic }: Rehearsal,
  rotation: Rotation,
  options: Partial<RotateOptions> = {},
): Promise<void> {
  const deaths = new Deaths();
  do {
    try {
      const { code, said } = await traffic.during(() => run(project, rotation, options, deaths));
      assert.equal(code, 0, said);
    } catch (error) {
      if (!deaths.took()) throw error;
      if ((await progressOf(project, rotation))?.stage === "ending") {
        await assert.rejects(
          run(project, rotation, { back: true }, null),
          /may be gone: .* --finish goes on/,
        );
      }
    }
  } while ((await progressOf(project, rotation))?.stage !== (stage ?? undefined));
}

interface Rehearsal {
  project: TestProject;
  traffic: Traffic;
}

async function progressOf({ envFile }: TestProject, { variable }: Rotation): Promise<Progress | null> {
  return readProgress(await readEnvFile(envFile), variable);
}

function named(variable: string): Rotation {
  const found = rotations.find((rotation) => rotation.variable === variable);
  assert.ok(found !== undefined);
  return found;
}

/** Each with who would be refused, and whoever it takes for that. */
const rehearsed = [
  ["SUPABASE_SECRET_KEYS", ["shopper"]],
  ["STRIPE_WEBHOOK_SECRETS", ["stripe", "shopper"]],
  ["RESEND_WEBHOOK_SECRETS", ["resend"]],
  ["LINK_SIGNING_SECRET", ["reader", "shopper", "scheduler"]],
  ["METRICS_TOKEN", ["monitor"]],
  ["STRIPE_SECRET_KEY", ["shopper"]],
] as const;

/** How often everybody comes before it is believed that nobody is refused. */
const roundsMax = 20;

Deno.test({
  name: "every secret is rotated while the shop is open",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(test) {
    await using stack = await testStack({ web: true });
    await stack.sql`update public.inventory_levels set on_hand = 1000000`;
    await using project = await testProject(stack);
    const first = await readEnvFile(project.envFile);
    const traffic = trafficOf(project, first["METRICS_TOKEN"] ?? "");
    const here = { project, traffic };
    await traffic.round();
    assert.deepEqual(traffic.refused, []);

    for (const [variable] of rehearsed) {
      await test.step(`${variable}: no request is refused, whenever a run dies`, async () => {
        const rotation = named(variable);
        const before = (await readEnvFile(project.envFile))[variable] ?? "";
        await reach(rotation.checkedHere ? "accepted" : "used", here, rotation);
        if (rotation.checkedHere) {
          assert.equal((await run(project, rotation, {}, null)).code, 1, "workers are too old");
          await project.later(workerMs);
          await reach("used", here, rotation);
        }
        const file = await readEnvFile(project.envFile);
        if (variable === "METRICS_TOKEN") traffic.monitor.token = file[variable]?.split(",")[0] ?? "";
        if (rotation.finishAfterMs > 0) {
          assert.equal(
            (await run(project, rotation, { finish: true }, null)).code,
            1,
            "the old one is needed",
          );
          await project.later(rotation.finishAfterMs);
        }
        if (rotation.outlives) await traffic.endLinks();
        if (variable === "STRIPE_SECRET_KEY") {
          assert.match((await run(project, rotation, { finish: true }, null)).said, /delete it at Stripe/);
          project.stripeKeys.delete(first["STRIPE_SECRET_KEY"] ?? "");
        }
        await traffic.round();
        await reach(null, here, rotation, { finish: true });
        const after = await readEnvFile(project.envFile);
        assert.equal(after[`ROTATION_${variable}`], undefined);
        assert.notEqual(after[variable], before);
        assert.ok(!after[variable]?.includes(","), "one is left");
        assert.deepEqual(traffic.refused, []);
      });
    }

    await test.step("nothing was lost: every payment has arrived, and nothing was turned away", async () => {
      await flush(stack);
      const states = await stack.sql`select status from public.orders where id in ${stack.sql(traffic.orders)}
        group by status`;
      assert.deepEqual(states.map(({ status }) => status), ["paid"]);
      assert.ok(traffic.links.size > rehearsed.length, "mails with links were read");
      assert.deepEqual([...await stack.sql`select reason from public.webhook_rejections`], []);
      assert.deepEqual(traffic.refused, []);
    });

    for (const [variable] of rehearsed) {
      await test.step(`${variable}: going back refuses nobody`, async () => {
        const rotation = named(variable);
        const before = (await readEnvFile(project.envFile))[variable] ?? "";
        const once = (options: Partial<RotateOptions> = {}) =>
          traffic.during(async () => {
            const { code, said } = await run(project, rotation, options, null);
            assert.equal(code, 0, said);
          });
        await once();
        if (rotation.checkedHere) {
          await project.later(workerMs);
          await once();
        }
        await project.later(workerMs);
        if (rotation.outlives) {
          await once({ back: true });
          await project.later(rotation.finishAfterMs);
          await traffic.endLinks();
          await once({ finish: true });
        } else await reach(null, here, rotation, { back: true });
        assert.equal((await readEnvFile(project.envFile))[variable], before);
        await project.later(workerMs);
        await traffic.round();
        assert.deepEqual(traffic.refused, []);
      });
    }

    // Proves that the steps above would notice: nothing is waited for, so old workers meet what they do not know.
    for (const [variable, who] of rehearsed) {
      await test.step(`${variable}: in a hurry, somebody is refused`, async () => {
        const rotation = named(variable);
        for (let tried = 0; (await progressOf(project, rotation))?.stage !== "used"; tried++) {
          assert.ok(tried < roundsMax);
          await run(project, rotation, { leaked: true }, null);
        }
        const [fresh = ""] = (await readEnvFile(project.envFile))[variable]?.split(",") ?? [];
        if (variable === "METRICS_TOKEN") traffic.monitor.token = fresh;
        if (variable === "STRIPE_SECRET_KEY") {
          project.stripeKeys.clear();
          project.stripeKeys.add(fresh);
        }
        if (variable === "SUPABASE_SECRET_KEYS") {
          await run(project, rotation, { finish: true, leaked: true }, null);
        }
        const refusedOne = () => traffic.refused.some((refusal) => refusal.startsWith(who[0]));
        for (let round = 0; !refusedOne(); round++) {
          assert.ok(round < roundsMax, `nobody is refused: ${traffic.refused}`);
          await traffic.round(who);
        }
        await traffic.endLinks();
        await project.later(workerMs);
        await run(project, rotation, { finish: true, leaked: true }, null).catch((error) => {
          assert.equal(variable, "SUPABASE_SECRET_KEYS", error);
        });
        await flush(stack);
        traffic.refused.splice(0);
      });
    }
  },
});
