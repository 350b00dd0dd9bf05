/** Stands between the functions and what they call, so that a process can be killed at an exact point of a call. */

/** One call that passes: which process made it, and what. */
export interface Passing {
  from: string;
  /** `POST /rest/v1/rpc/claim_jobs`. */
  call: string;
  /** `request`: not yet carried out. `response`: carried out, and the caller does not know yet. */
  phase: "request" | "response";
  /** The response's body; empty in the request phase. */
  body: string;
}

/** Called for everything that passes; true when it killed the caller, so that nothing is passed on. */
export type Watch = (passing: Passing) => boolean;

export interface Proxy {
  /** Where process `from` finds `target`. */
  url(from: string, target: "rest" | "stripe"): string;
  stop(): Promise<void>;
}

const targets = ["rest", "stripe"] as const;

/** Starts one listener per caller and target. */
export function startProxy(urls: Record<"rest" | "stripe", string>, callers: string[], watch: Watch): Proxy {
  const servers = new Map(callers.flatMap((from) =>
    targets.map((target) => {
      const server = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen: () => {} },
        (request) => pass(request, urls[target], from, watch),
      );
      return [`${from} ${target}`, server] as const;
    })
  ));
  return {
    url(from, target) {
      const server = servers.get(`${from} ${target}`);
      if (server === undefined) throw new Error(`${from} is no caller of this proxy`);
      return `http://127.0.0.1:${server.addr.port}`;
    },
    stop: async () => {
      await Promise.all([...servers.values()].map((server) => server.shutdown()));
    },
  };
}

async function pass(request: Request, target: string, from: string, watch: Watch): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const call = `${request.method} ${pathname}`;
  const sent = request.body === null ? null : new Uint8Array(await request.arrayBuffer());
  if (watch({ from, call, phase: "request", body: "" })) return cut();
  try {
    const response = await fetch(`${target}${pathname}${search}`, {
      method: request.method,
      headers: request.headers,
      body: sent,
      redirect: "manual",
    });
    const body = await response.text();
    if (watch({ from, call, phase: "response", body })) return cut();
    const headers = new Headers(response.headers);
    for (const name of ["content-encoding", "content-length", "transfer-encoding"]) headers.delete(name);
    const empty = [204, 205, 304].includes(response.status);
    return new Response(empty ? null : body, { status: response.status, headers });
  } catch {
    return cut();
  }
}

/** What a caller that is still alive sees of a lost connection. */
function cut(): Response {
  return Response.json({ message: "the connection was lost" }, { status: 503 });
}
