/** One order is one trace: what a collector gets while an order is bought, read with OpenTelemetry's own messages. */
import assert from "node:assert/strict";
import { runCommand } from "../../../scripts/lib/command.ts";
import { eventually } from "../../support/poll.ts";
import { nonEmpty } from "../../support/non_empty.ts";
import { skipWithout } from "../../support/optional_tool.ts";
import { type TestStack, testStack } from "../../support/stack.ts";
import { flush, pay, plentySku } from "../jobs/shop.ts";

interface Span {
  resource: Record<string, string>;
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  kind: string;
  nanos: number;
  startedAt: number;
  attributes: Record<string, string | number>;
  links: { traceId: string; spanId: string }[];
  failed: boolean;
}

const found = await runCommand("python3", ["-c", "import opentelemetry.proto.trace.v1.trace_pb2"]);
const missing = found.success ? null : "pip install opentelemetry-proto";
const ignore = skipWithout("PyPI's opentelemetry-proto", missing);

/** A collector that keeps what it is sent. */
function startCollector() {
  const bodies: { content_type: string; body: string }[] = [];
  const keys = new Set<string | null>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    keys.add(request.headers.get("x-key"));
    assert.equal(new URL(request.url).pathname, "/v1/traces");
    bodies.push({ content_type: request.headers.get("content-type") ?? "", body: await request.text() });
    return Response.json({});
  });
  return { url: `http://127.0.0.1:${server.addr.port}`, bodies, keys, stop: () => server.shutdown() };
}

async function decode(bodies: unknown[]): Promise<Span[]> {
  const program = new Deno.Command("python3", {
    args: [new URL("./decode_otlp.py", import.meta.url).pathname],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = program.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(bodies)));
  await writer.close();
  const { success, stdout, stderr } = await program.output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

const caller = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" };
const email = "ada.lovelace@example.com";

async function buy(stack: TestStack) {
  const begin = async () => {
    const response = await fetch(`${stack.functions_url}/create-checkout-session`, {
      method: "POST",
      headers: {
        apikey: stack.publishable_key,
        "content-type": "application/json",
        "idempotency-key": "one-order-one-trace",
        traceparent: `00-${caller.traceId}-${caller.spanId}-01`,
      },
      body: JSON.stringify({ items: [{ sku: plentySku, quantity: 1 }], customer_email: email }),
    });
    return { status: response.status, body: await response.json() };
  };
  const created = await begin();
  const repeated = await begin();
  assert.deepEqual([created.status, repeated.status], [201, 200]);
  await pay(stack, created.body.session_id);
  await flush(stack);
  const get = async (path: string, init: RequestInit) => {
    const response = await fetch(`${stack.functions_url}/${path}`, init);
    assert(response.ok, await response.text());
  };
  await get(`order-status?session_id=${created.body.session_id}`, {
    headers: { apikey: stack.publishable_key },
  });
  await get("retry-jobs", { method: "POST", headers: { apikey: stack.secret_key } });
  return created.body as { order_id: string; session_id: string };
}

Deno.test({
  name: "one order is one trace: its requests, deliveries, jobs and mails, in OpenTelemetry's own messages",
  ignore,
  async fn() {
    const collector = startCollector();
    try {
      await using stack = await testStack({
        web: true,
        env: {
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
          OTEL_EXPORTER_OTLP_HEADERS: "x-key=let%20us%20in",
        },
      });
      const began = Date.now();
      const order = await buy(stack);
      const traceId = order.order_id.replaceAll("-", "");
      const expected = [
        "GET order-status",
        "POST create-checkout-session",
        "POST mail-webhook",
        "POST stripe-webhook",
        "job send_mail",
      ];
      const spans = await eventually("the spans of the order", async () => {
        const spans = (await decode(collector.bodies)).filter((span) => span.traceId === traceId);
        const names = spans.map(({ name }) => name);
        return expected.every((name) => names.includes(name)) && spans;
      });

      const rootId = traceId.slice(16);
      const checkouts = spans.filter(({ name }) => name === "POST create-checkout-session");
      const [root] = checkouts.filter(({ spanId }) => spanId === rootId);
      assert.deepEqual([root?.parentSpanId, root?.links], ["", [caller]]);
      assert.deepEqual(
        checkouts.map(({ attributes }) => attributes["checkout.outcome"]).sort(),
        ["created", "existing"],
      );
      assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, spans.length);
      const jobs = spans.filter(({ name }) => name.startsWith("job "));
      for (const span of nonEmpty(spans)) {
        const kind = span.kind.replace("SPAN_KIND_", "").toLowerCase();
        assert.equal(
          kind,
          span.name.startsWith("job ") ? "internal" : kind === "client" ? "client" : "server",
        );
        if (kind === "client") assert(jobs.some(({ spanId }) => spanId === span.parentSpanId), span.name);
        else if (span.spanId !== rootId) assert.equal(span.parentSpanId, rootId, span.name);
        assert.equal(
          span.resource["service.name"],
          kind === "server" ? span.name.split(" ")[1] : "retry-jobs",
        );
        assert(span.startedAt >= began && span.startedAt <= Date.now() && span.nanos >= 0, span.name);
        assert.equal(span.failed, false, span.name);
      }
      const [mail] = jobs.filter(({ name }) => name === "job send_mail");
      assert.deepEqual([mail?.attributes["job.attempt"], mail?.attributes["job.outcome"]], [1, "done"]);
      const [call] = spans.filter(({ parentSpanId }) => parentSpanId === mail?.spanId);
      assert.deepEqual([call?.kind, call?.attributes["http.response.status_code"]], [
        "SPAN_KIND_CLIENT",
        200,
      ]);
      const types = spans.map(({ attributes }) => attributes["event.type"]);
      assert(types.includes("checkout.session.completed") && types.includes("payment_intent.succeeded"));

      assert.deepEqual([...collector.keys], ["let us in"]);
      const text = JSON.stringify(collector.bodies).toLowerCase();
      for (const word of ["lovelace", "@", "jenny", "sb_", "re_", "whsec", "cs_test"]) {
        assert(!text.includes(word), `${word} is sent`);
      }
    } finally {
      await collector.stop();
    }
  },
});
