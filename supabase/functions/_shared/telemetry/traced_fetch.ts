/** Calls to providers as parts of the work that makes them. */
import type { Span } from "./tracer.ts";

/** A `fetch` whose calls are spans: method, host and status, never the path or what is sent. */
export function tracedFetch(fetcher: typeof fetch, work: Span): typeof fetch {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const method = init?.method ?? (input instanceof Request ? input.method : "GET");
    const span = work.child(`${method} ${url.hostname}`, "client");
    span.set({ "http.request.method": method, "server.address": url.hostname });
    try {
      const response = await fetcher(input, init);
      span.set({ "http.response.status_code": response.status });
      span.end(response.ok ? null : String(response.status));
      return response;
    } catch (error) {
      span.end("no_answer");
      throw error;
    }
  };
}
