import type { Context } from "../core/context.ts";

/** The pages a shopper sees. */
export class HostedPages {
  readonly #inContext: <T>(work: (context: Context) => T) => T;

  constructor(inContext: <T>(work: (context: Context) => T) => T) {
    this.#inContext = inContext;
  }

  handle(_request: Request, _url: URL): Response {
    return new Response("Not found", { status: 404 });
  }
}
