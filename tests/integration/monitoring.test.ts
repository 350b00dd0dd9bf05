/** A real Prometheus beside the stack, and the parser of its Python client: what they read is what happened. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { runCommand } from "../../scripts/lib/command.ts";
import { ROOT } from "../../scripts/lib/paths.ts";
import { freePort } from "../../scripts/lib/ports.ts";
import { skipWithout } from "../support/optional_tool.ts";
import { eventually } from "../support/poll.ts";
import { type TestStack, testStack } from "../support/stack.ts";
import { payOrder } from "./webhook/paid_order.ts";

const token = "a-token-that-opens-figures-and-nothing-else";

/** Reads OpenMetrics from its input and prints how many samples there are; fails on what is not OpenMetrics. */
const parser = `
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
print(sum(len(family.samples) for family in text_string_to_metric_families(sys.stdin.read())))
`;

/** A Python that has the parser; Debian's package puts it beside Debian's own Python. */
async function pythonWithParser(): Promise<string | null> {
  for (const python of ["python3", "/usr/bin/python3"]) {
    if ((await runCommand(python, ["-c", "import prometheus_client"])).success) return python;
  }
  return null;
}
const python = await pythonWithParser();
const prometheus = (await runCommand("prometheus", ["--version"])).success
  ? null
  : "install Debian's prometheus";
const noParser = python === null ? "install Debian's python3-prometheus-client" : null;
const ignore = [skipWithout("prometheus", prometheus), skipWithout("prometheus_client", noParser)].includes(
  true,
);

interface Watcher extends AsyncDisposable {
  /** The value of a query that has one series; null while it has none. */
  value(query: string): Promise<number | null>;
  firing(): Promise<string[]>;
}

/** Prometheus with docs/monitoring/, scraping once a second and alerting at once. */
async function startPrometheus(stack: TestStack): Promise<Watcher> {
  const dir = await Deno.makeTempDir({ prefix: "prometheus-" });
  const source = join(ROOT, "docs/monitoring");
  const edited = async (name: string, change: (text: string) => string) =>
    await Deno.writeTextFile(join(dir, name), change(await Deno.readTextFile(join(source, name))));
  await edited("rules.yml", (text) => text.replaceAll(/for: \w+/g, "for: 0s"));
  await edited(
    "prometheus.yml",
    (text) =>
      text.replace("PROJECT_REF.supabase.co", new URL(stack.api_url).host).replace("https", "http")
        .replace("/etc/prometheus/metrics_token", "token").replaceAll(/interval: 15s/g, "interval: 1s"),
  );
  await Deno.writeTextFile(join(dir, "token"), token);
  const address = `127.0.0.1:${freePort()}`;
  const child = new Deno.Command("prometheus", {
    args: [
      `--config.file=${join(dir, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(dir, "data")}`,
      `--web.listen-address=${address}`,
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const ask = async (path: string) => {
    const response = await fetch(`http://${address}/api/v1/${path}`);
    assert(response.ok, await response.clone().text());
    return (await response.json()).data;
  };
  return {
    async value(query) {
      const { result } = await ask(`query?query=${encodeURIComponent(query)}`);
      return result.length === 0 ? null : Number(result[0].value[1]);
    },
    async firing() {
      const { alerts } = await ask("alerts");
      return alerts.map(({ labels }: { labels: Record<string, string> }) => labels["alertname"]);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
      await Deno.remove(dir, { recursive: true });
    },
  };
}

async function scrape(stack: TestStack): Promise<string> {
  const response = await fetch(`${stack.functions_url}/health?format=openmetrics`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return await response.text();
}

async function parsedSamples(text: string): Promise<number> {
  const child = new Deno.Command(python ?? "python3", {
    args: ["-c", parser],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  assert(success, new TextDecoder().decode(stderr));
  return Number(new TextDecoder().decode(stdout));
}

Deno.test({ name: "a monitor sees an order bought, and then the shop stand still", ignore }, async (test) => {
  await using stack = await testStack({ env: { METRICS_TOKEN: token }, web: true });
  await payOrder(stack);
  await eventually("the confirmation", async () => {
    const called = await fetch(`${stack.functions_url}/retry-jobs`, {
      method: "POST",
      headers: { apikey: stack.secret_key },
    });
    assert(called.ok, await called.text());
    return (await stack.sql`select from public.notifications where sent_at is not null`).length === 1;
  });

  await test.step("the OpenMetrics parser of Prometheus's Python client reads every sample", async () => {
    const text = await scrape(stack);
    const lines = text.split("\n").filter((line) => line.startsWith("shop_"));
    assert(lines.length > 300, `${lines.length} samples`);
    assert.equal(await parsedSamples(text), lines.length);
    await assert.rejects(parsedSamples(text.replace("# EOF\n", "")), /EOF/);
  });

  await using watcher = await startPrometheus(stack);
  const seen = (query: string) => eventually(query, async () => (await watcher.value(query)) === 1, 30_000);

  await test.step("counters of the database and of the functions", async () => {
    await seen('up{job="shop"}');
    await seen("shop_up");
    await seen("sum(shop_payments_total)");
    await seen('shop_webhook_deliveries_total{type="checkout.session.completed",outcome="applied"}');
    await seen('shop_jobs_total{kind="send_mail",outcome="done"}');
    await seen('shop_mails_total{template="order_confirmation",outcome="queued"}');
    await seen("shop_mail_delay_seconds_count");
    await seen('shop_objective_events_total{objective="stock",result="good"}');
    // Told by the function within seconds.
    await seen('shop_checkouts_total{result="created"}');
    await seen('shop_objective_events_total{objective="checkout",result="good"}');
    await seen('shop_request_duration_seconds_count{function="create-checkout-session",outcome="ok"}');
    await seen('shop_rate_limit_decisions_total{limiter="postgres",decision="allowed"}');
    assert((await watcher.value('shop_webhook_senders_total{membership="listed"}') ?? 0) > 0);
  });

  await test.step("nobody calls retry-jobs any more: the alert comes, and goes with its cause", async () => {
    assert.equal((await watcher.firing()).includes("ShopDown"), false);
    await stack.sql`update private.heartbeats set last_at = now() - interval '6 minutes'
      where name = 'retry_jobs'`;
    await eventually("the alert", async () => (await watcher.firing()).includes("ShopDown"));
    await stack.sql`update private.heartbeats set last_at = now() where name = 'retry_jobs'`;
    await eventually("its end", async () => !(await watcher.firing()).includes("ShopDown"));
  });
});
