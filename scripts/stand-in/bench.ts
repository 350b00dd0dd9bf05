/**
 * How fast the stand-in answers, and what it holds in memory over many events.
 * `deno run -A scripts/stand-in/bench.ts [requests] [clients]`; the stand-in is pinned to one core where `taskset` is there.
 */

/** The goals: it must never be the bottleneck of a test, nor grow with what happened before. */
const REQUESTS_PER_SECOND = 500;
const GROWTH_MB = 20;
const ROUNDS = 6;
const KEY = ["sk", "test", "Benchmark0000"].join("_");

/** Linux counts processor time in hundredths of a second. */
const CLOCK_TICKS = 100;

interface Running {
  url: string;
  pid: number;
  stop(): Promise<void>;
}

async function start(dir: string): Promise<Running> {
  const main = new URL("./main.ts", import.meta.url).pathname;
  const pinned = await new Deno.Command("taskset", { args: ["--version"], stdout: "null", stderr: "null" })
    .output().then(({ success }) => success, () => false);
  const [program = "", ...args] = [
    ...(pinned ? ["taskset", "-c", "0"] : []),
    Deno.execPath(),
    "run",
    "-A",
    main,
    "--port",
    "0",
    "--data",
    dir,
  ];
  const child = new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await output.read();
  const url = /^ready (\S+)/.exec(value)?.[1];
  if (url === undefined) throw new Error(`the stand-in printed ${value}`);
  return {
    url,
    pid: child.pid,
    stop: async () => {
      child.kill("SIGTERM");
      await child.status;
      await output.cancel();
    },
  };
}

/** Resident memory of a process in MB; NaN where /proc is not there. */
async function residentMb(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024;
}

/** Processor time a process has used so far, in seconds; NaN where /proc is not there. */
async function cpuSeconds(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11] ?? Number.NaN) + Number(fields[12] ?? Number.NaN)) / CLOCK_TICKS;
}

class Shopper {
  requests = 0;
  readonly #url: string;
  #session = "";
  #intent = "";

  constructor(url: string) {
    this.#url = url;
  }

  /** One purchase with what surrounds it: eight requests, four events. */
  async buy(): Promise<void> {
    const session = await this.#api("POST", "checkout/sessions", {
      mode: "payment",
      success_url: "http://shop.test/done",
      "line_items[0][quantity]": "2",
      "line_items[0][price_data][currency]": "usd",
      "line_items[0][price_data][unit_amount]": "12900",
      "line_items[0][price_data][product_data][name]": "Oxford Button-Down Shirt",
      "metadata[order_id]": crypto.randomUUID(),
    });
    this.#session = String(session.id);
    await this.#api("GET", `checkout/sessions/${this.#session}`);
    const paid = await this.#call("POST", "_control/pay", JSON.stringify({ session: this.#session }));
    this.#intent = String(paid.payment_intent);
    await this.#api("GET", `checkout/sessions/${this.#session}?expand[]=payment_intent.latest_charge`);
    await this.#api("GET", `payment_intents/${this.#intent}`);
    await this.#api("GET", `charges?payment_intent=${this.#intent}`);
    await this.#api("GET", "events?limit=10");
    await this.#api("POST", "customers", { name: "Jenny" });
  }

  #api(method: string, path: string, form?: Record<string, string>): Promise<Record<string, unknown>> {
    return this.#call(method, `v1/${path}`, form === undefined ? undefined : new URLSearchParams(form));
  }

  async #call(
    method: string,
    path: string,
    body?: string | URLSearchParams,
  ): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.#url}/${path}`, {
      method,
      headers: { authorization: `Bearer ${KEY}` },
      ...(body === undefined ? {} : { body }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
    this.requests++;
    return answer;
  }
}

/** Has `clients` shoppers send `requests` requests in all; returns requests per second, of the clock and of the core. */
async function load(
  running: Running,
  requests: number,
  clients: number,
): Promise<{ rate: number; perCore: number }> {
  const { url, pid } = running;
  const cpuBefore = await cpuSeconds(pid);
  const shoppers = Array.from({ length: clients }, () => new Shopper(url));
  const sent = () => shoppers.reduce((sum, shopper) => sum + shopper.requests, 0);
  const startedAt = performance.now();
  await Promise.all(shoppers.map(async (shopper) => {
    while (sent() < requests) await shopper.buy();
  }));
  const rate = sent() / ((performance.now() - startedAt) / 1000);
  const used = await cpuSeconds(pid) - cpuBefore;
  return { rate, perCore: Number.isNaN(used) ? rate : sent() / used };
}

function verdict(met: boolean): string {
  return met ? "ok" : "MISSED";
}

if (import.meta.main) {
  const [requests = 200_000, clients = 16] = Deno.args.map(Number);
  const dir = await Deno.makeTempDir({ prefix: "stripe-bench-" });
  const running = await start(dir);
  try {
    await load(running, 2000, clients);
    let slowest = Number.POSITIVE_INFINITY;
    const memory: number[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      const { rate, perCore } = await load(running, requests / ROUNDS, clients);
      slowest = Math.min(slowest, perCore);
      memory.push(await residentMb(running.pid));
      console.log([
        `${Math.round(requests * round / ROUNDS)} requests`,
        `${rate.toFixed(0)} per second by the clock`,
        `${perCore.toFixed(0)} per second of one core`,
        `${memory.at(-1)?.toFixed(0)} MB`,
      ].join(", "));
    }
    // The first half fills caches of fixed size; what counts is whether the second half still grows.
    const growth = (memory.at(-1) ?? 0) - (memory[ROUNDS / 2 - 1] ?? 0);
    const fast = slowest >= REQUESTS_PER_SECOND;
    const flat = Number.isNaN(growth) || growth <= GROWTH_MB;
    console.log(
      `slowest: ${slowest.toFixed(0)} per second of one core, goal ${REQUESTS_PER_SECOND}: ${verdict(fast)}`,
    );
    console.log(`second half grew by ${growth.toFixed(0)} MB, goal ${GROWTH_MB}: ${verdict(flat)}`);
    Deno.exitCode = fast && flat ? 0 : 1;
  } finally {
    await running.stop();
    await Deno.remove(dir, { recursive: true });
  }
}
