/** The shop's functions, unmodified, each as an instance that can die and is started anew at the next request. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { SUPABASE_DIR } from "../../lib/paths.ts";
import type { Kernel } from "./kernel.ts";
import type { Instance, Network } from "./network.ts";

type Handler = (request: Request) => Promise<Response>;

interface Running {
  instance: Instance;
  handler: Promise<Handler>;
}

let loads = 0;

export class Functions {
  readonly #kernel: Kernel;
  readonly #network: Network;
  readonly #running = new Map<string, Running>();

  constructor(kernel: Kernel, network: Network) {
    this.#kernel = kernel;
    this.#network = network;
    network.onDeath = ({ name }) => this.#running.delete(name);
  }

  /** The instance that would answer now; null before the first request. */
  instanceOf(name: string): Instance | null {
    return this.#running.get(name)?.instance ?? null;
  }

  /** Answers a request; an error response (`Response.error()`) when the instance dies on the way. */
  async call(name: string, request: Request, address: string): Promise<Response> {
    const running = this.#running.get(name) ?? this.#start(name);
    const { instance } = running;
    const cause = this.#kernel.child(instance);
    return await new Promise<Response>((resolve, reject) => {
      const broken = () => resolve(Response.error());
      instance.broken.add(broken);
      this.#kernel.plan(0, cause, () => {
        running.handler.then((handler) => handler(behindEdge(request, name, address)))
          .finally(() => instance.broken.delete(broken)).then(resolve, reject);
      });
    });
  }

  #start(name: string): Running {
    const instance: Instance = { name, dead: false, fuse: null, broken: new Set() };
    const started = Promise.withResolvers<Handler>();
    // Whatever a function does as it starts is its own doing.
    this.#kernel.plan(0, this.#kernel.cause(`${name}#${this.#kernel.events}`, instance), () => {
      this.#kernel.real(() => load(name)).then(started.resolve, started.reject);
    });
    const running = { instance, handler: started.promise };
    this.#running.set(name, running);
    return running;
  }
}

/** A module of its own for each instance; what it imports is shared and keeps nothing. */
async function load(name: string): Promise<Handler> {
  const url = `${pathToFileURL(join(SUPABASE_DIR, "functions", name, "index.ts")).href}?instance=${++loads}`;
  const module: { default: { fetch: Handler } } = await import(url);
  return module.default.fetch;
}

/** What the proxies in front of a hosted function write. */
function behindEdge(request: Request, name: string, address: string): Request {
  const url = new URL(request.url);
  url.pathname = `/${name}`;
  const headers = new Headers(request.headers);
  headers.set("x-forwarded-for", address);
  headers.set("cf-connecting-ip", address);
  headers.set("x-real-ip", address);
  return new Request(url, { method: request.method, headers, body: request.body });
}
