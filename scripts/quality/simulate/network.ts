/** The wire between everybody: each request is a message that takes its time, and may get lost or come twice. */
import type { Cause, Kernel, Life } from "./kernel.ts";

/** Answers what is sent to an address; `address` is the one of whoever sends. */
export type Server = (request: Request, address: string) => Promise<Response> | Response;

/** How the wire is at the moment: shares of messages. */
export interface Weather {
  /** Get lost on the way there or back: half of them with an error, the others without a word. */
  lost: number;
  /** Arrive twice. */
  doubled: number;
  /** Take up to {@linkcode slowMs} longer than usual. */
  slow: number;
}

/** A function's instance: it dies as one, and with it whatever it was about to answer. */
export interface Instance extends Life {
  readonly name: string;
  /** Dies at so many messages from now. */
  fuse: number | null;
  readonly broken: Set<() => void>;
}

export const calm: Weather = { lost: 0, doubled: 0, slow: 0 };

const usualMs = [1, 25] as const;
const slowMs = 20_000;

export class Network {
  weather: Weather = calm;
  readonly #kernel: Kernel;
  readonly #servers = new Map<string, Server>();
  /** Those whom nobody reaches now. */
  readonly unreachable = new Set<string>();
  /** Called for an instance that has died. */
  onDeath: (instance: Instance) => void = () => {};
  deaths = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  serve(origin: string, server: Server): void {
    this.#servers.set(origin, server);
  }

  /** What stands in for `fetch`; whoever sends may name the address that it sends from in `x-sent-from`. */
  readonly fetch: typeof fetch = async (input, init) => {
    const given = new Request(input, init);
    const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined);
    signal?.throwIfAborted();
    const url = new URL(given.url);
    const sentFrom = given.headers.get("x-sent-from") ?? "127.0.0.1";
    given.headers.delete("x-sent-from");
    const body = given.body === null ? null : await given.arrayBuffer();
    const request = () => new Request(given.url, { method: given.method, headers: given.headers, body });
    return await this.#send(request, url, sentFrom, signal ?? undefined);
  };

  #send(request: () => Request, url: URL, address: string, signal?: AbortSignal): Promise<Response> {
    const kernel = this.#kernel;
    const sender = kernel.current();
    const receiver = kernel.child(null);
    const what = `${request().method} ${url.host}${url.pathname}`;
    const fate = this.#fateOf(receiver, url);
    const server = this.#servers.get(url.origin);
    return new Promise<Response>((resolve, reject) => {
      const fail = (afterMs: number, how: string) =>
        kernel.plan(afterMs, sender, () => {
          kernel.note(sender.name, `${what} ${how}`);
          reject(new TypeError(`error sending request: ${how}`));
        });
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      const dies = this.#diesNow(sender.life, receiver);
      if (dies === "before") return;
      if (server === undefined) return void fail(1, "no such host");
      if (fate.refused) return void fail(fate.thereMs, "connection refused");
      if (fate.lost === "there") return fate.silent ? undefined : void fail(fate.thereMs, "lost");
      const deliver = (first: boolean) => () => {
        void this.#handle(server, request(), address, receiver, what).then((answer) => {
          if (!first || dies === "after") return;
          if (answer === null) return void fail(fate.backMs, "connection reset");
          if (fate.lost === "back") return fate.silent ? undefined : void fail(fate.backMs, "answer lost");
          kernel.plan(fate.backMs, sender, () => resolve(answer()));
        });
      };
      kernel.plan(fate.thereMs, receiver, deliver(true));
      if (fate.againMs !== null) kernel.plan(fate.thereMs + fate.againMs, receiver, deliver(false));
    });
  }

  /** What becomes of a message; null where nobody lives any more to answer it. */
  async #handle(
    server: Server,
    request: Request,
    address: string,
    { name }: Cause,
    what: string,
  ): Promise<(() => Response) | null> {
    const response = await server(request, address);
    if (response.type === "error") {
      this.#kernel.note(name, `${what} died`);
      return null;
    }
    const body = await response.arrayBuffer();
    this.#kernel.note(name, `${what} ${response.status}`, new Uint8Array(body));
    const { status, headers } = response;
    return () => new Response([101, 204, 205, 304].includes(status) ? null : body, { status, headers });
  }

  #fateOf({ random }: Cause, { origin, pathname }: URL) {
    const { lost, doubled, slow } = this.weather;
    const takes = () => random.whole(...usualMs) + (random.chance(slow) ? random.whole(1_000, slowMs) : 0);
    return {
      // Shoppers, banks and bad luck do not come the way that is cut.
      refused: this.unreachable.has(origin) && !pathname.startsWith("/_control/"),
      thereMs: takes(),
      backMs: takes(),
      lost: random.chance(lost) ? random.pick(["there", "back"] as const) : null,
      silent: random.chance(0.5),
      againMs: random.chance(doubled) ? random.whole(1, slowMs) : null,
    };
  }

  /** A fuse that burns down kills its instance just before this message leaves, or right after. */
  #diesNow(life: Life | null, { random }: Cause): "before" | "after" | null {
    const instance = life as Instance | null;
    if (instance === null || instance.fuse === null || --instance.fuse > 0) return null;
    this.kill(instance);
    return random.pick(["before", "after"] as const);
  }

  kill(instance: Instance): void {
    if (instance.dead) return;
    instance.dead = true;
    this.deaths += 1;
    this.#kernel.note(instance.name, "killed");
    for (const broken of instance.broken) broken();
    this.onDeath(instance);
  }
}
