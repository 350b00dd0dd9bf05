import assert from "node:assert/strict";
import { type TestStack, testStack } from "../../support/stack.ts";

function call(stack: TestStack, body: unknown, key: string | null = stack.secret_key): Promise<Response> {
  return fetch(`${stack.functions_url}/retry-jobs`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key === null ? {} : { apikey: key }) },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

async function command(
  stack: TestStack,
  script: string,
  args: string[],
): Promise<{ code: number; out: string }> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "--quiet",
      new URL(`../../../scripts/live/${script}`, import.meta.url).pathname,
      ...args,
    ],
    env: { LOCAL_DIR: stack.dir, SUPABASE_URL: "", SUPABASE_SECRET_KEYS: "", STRIPE_SECRET_KEY: "" },
  }).output();
  const text = new TextDecoder();
  return { code: output.code, out: text.decode(output.stdout) + text.decode(output.stderr) };
}

Deno.test("retry-jobs over HTTP, and the commands around it", async (test) => {
  await using stack = await testStack();
  // What is due by the clock joins in after a minute; here all jobs are counted.
  await stack.sql`update private.periodic_jobs set next_at = 'infinity'`;

  await test.step("needs the secret key: none, a publishable and a wrong one get 401", async () => {
    for (const key of [null, stack.publishable_key, "sb_secret_" + "wrong"]) {
      const response = await call(stack, {}, key);
      assert.equal(response.status, 401);
      assert.equal((await response.json()).error.code, "unauthorized");
    }
  });

  await test.step("refuses a limit that is none", async () => {
    for (
      const body of [{ limit: 0 }, { limit: 1001 }, { limit: 1.5 }, { limit: "10" }, { other: 1 }, "[", []]
    ) {
      const response = await call(stack, body);
      assert.equal(response.status, 400, JSON.stringify(body));
      await response.body?.cancel();
    }
  });

  await test.step("answers what it did and what remains", async () => {
    await stack.sql`
      select private.enqueue_job('send_alert', 'send_alert:test:' || n, jsonb_build_object('alert_id', gen_random_uuid())) from generate_series(1, 30) n`;
    const response = await call(stack, { limit: 10 });
    assert.equal(response.status, 200);
    // An alert that does not exist is discarded: neither succeeded, retried nor dead.
    assert.deepEqual(await response.json(), {
      claimed: 10,
      succeeded: 0,
      retried: 0,
      discarded: 10,
      dead: 0,
      remaining: 20,
    });
    const rest = await Promise.all(Array.from({ length: 3 }, async () => (await call(stack, {})).json()));
    assert.equal(rest.reduce((sum, { claimed }) => sum + claimed, 0), 20, "overlapping calls share the work");
    assert.deepEqual(await (await call(stack, {})).json(), {
      claimed: 0,
      succeeded: 0,
      retried: 0,
      discarded: 0,
      dead: 0,
      remaining: 0,
    });
  });

  await test.step("keeps jobs of a kind that this version does not know for the next one", async () => {
    await stack.sql`select private.enqueue_job('from_the_future', 'future', '{}')`;
    assert.equal((await (await call(stack, {})).json()).retried, 1);
    const [job] = await stack.sql`select status, last_error from private.jobs where kind = 'from_the_future'`;
    assert.equal(job?.status, "queued");
    assert.match(job?.last_error, /no handler/);
    await stack.sql`delete from private.jobs`;
  });

  await test.step("deno task redrive lists, then brings back what died", async () => {
    await stack.sql`
      insert into private.jobs (kind, dedupe_key, status, finished_at, last_error)
      values ('send_alert', 'dead one', 'dead', now(), 'it was broken')`;
    const dry = await command(stack, "redrive.ts", ["--all", "--dry-run"]);
    assert.equal(dry.code, 0, dry.out);
    assert.match(dry.out, /send_alert.*dead.*it was broken[\s\S]*1 would be queued again/);
    assert.equal((await stack.sql`select status from private.jobs`)[0]?.status, "dead");
    const real = await command(stack, "redrive.ts", ["--type", "send_alert"]);
    assert.match(real.out, /1 queued again/);
    assert.equal((await stack.sql`select status from private.jobs`)[0]?.status, "queued");
    const [audit] = await stack.sql`select actor from public.staff_commands where command = 'redrive_job'`;
    assert.equal(audit?.actor, "authenticator (redrive)");
    await stack.sql`
      insert into private.jobs (kind, dedupe_key, status, finished_at)
      select 'send_alert', 'dead ' || n, 'dead', now() from generate_series(1, 450) n`;
    assert.match((await command(stack, "redrive.ts", ["--all"])).out, /\n450 queued again/);
    const [left] = await stack.sql`select count(*)::int as count from private.jobs where status = 'dead'`;
    assert.equal(left?.count, 0);
    assert.equal((await command(stack, "redrive.ts", [])).code, 2);
    assert.match((await command(stack, "redrive.ts", ["nonsense"])).out, /neither an event/);
    assert.match((await command(stack, "redrive.ts", ["--all", "--again"])).out, /--again needs --type/);
    await stack.sql`insert into public.webhook_events (id, type, status, livemode, stripe_created_at, payload)
      values ('evt_again', 'review.closed', 'processed', false, now(), '{"id": "evt_again"}')`;
    assert.match(
      (await command(stack, "redrive.ts", ["--type", "review.closed"])).out,
      /Nothing of type review\.closed is failed or dead/,
    );
    assert.match(
      (await command(stack, "redrive.ts", ["--type", "review.closed", "--again"])).out,
      /evt_again.*\n1 queued/,
    );
    assert.match(
      (await command(stack, "redrive.ts", ["--type", "nope", "--again"])).out,
      /No event and no dead job of type nope is there/,
    );
  });

  await test.step("deno task reconcile finds nothing where nothing is missing", async () => {
    const { code, out } = await command(stack, "reconcile.ts", ["--since", "7d", "--dry-run"]);
    assert.equal(code, 0, out);
    assert.match(out, /No drift/);
    assert.equal((await command(stack, "reconcile.ts", ["--since", "60d"])).code, 2);
  });

  await test.step("the list of webhook addresses is taken over, and a page that is none changes nothing", async () => {
    const { refreshWebhookAddresses } = await import(
      "../../../supabase/functions/_shared/jobs/refresh_webhook_addresses.ts"
    );
    const { jobContext } = await import("./shop.ts");
    const known = await stack.sql`select host(address) as address from public.stripe_webhook_ips`;
    const list = [...known.slice(0, 10).map(({ address }) => String(address)), "192.0.2.7"];
    let answer = new Response(JSON.stringify({ WEBHOOKS: list }));
    const context = {
      ...jobContext(stack, { STRIPE_WEBHOOK_IPS_URL: "https://list.example/ips.json" }),
      fetch: () => Promise.resolve(answer),
    };
    const job = {
      id: 1,
      kind: "",
      payload: {},
      attempts: 1,
      max_attempts: 1,
      lease_id: "",
      created_at: "",
      order_id: null,
    };
    assert.deepEqual(await refreshWebhookAddresses(job, context), { kind: "done" });
    const addresses = async () =>
      (await stack.sql`select host(address) as address from public.stripe_webhook_ips`)
        .map(({ address }) => String(address)).sort();
    assert.deepEqual(await addresses(), [...list].sort());
    for (
      const body of ["<html>", "{}", '{"WEBHOOKS": []}', '{"WEBHOOKS": ["3.18.12.63", "not an address"]}']
    ) {
      answer = new Response(body);
      assert.equal((await refreshWebhookAddresses(job, context)).kind, "retry", body);
    }
    assert.deepEqual(await addresses(), [...list].sort());
    const offline = jobContext(stack);
    assert.equal(
      (await refreshWebhookAddresses(job, offline)).kind,
      "discard",
      "offline nobody asks Stripe's site",
    );
  });
});
