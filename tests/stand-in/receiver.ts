/** One webhook request as it arrived. */
export interface Received {
  body: string;
  signature: string;
  id: string;
  type: string;
}

/** A webhook endpoint that keeps what it gets and answers what the test says. */
export class Receiver implements AsyncDisposable {
  readonly received: Received[] = [];
  answer: (seen: Received, nth: number) => Response | Promise<Response> = () => new Response("ok");
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(port = 0) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, async (request) => {
      const body = await request.text();
      const { id, type } = JSON.parse(body) as { id: string; type: string };
      const seen = { body, signature: request.headers.get("stripe-signature") ?? "", id, type };
      this.received.push(seen);
      return this.answer(seen, this.received.length);
    });
  }

  get port(): number {
    return this.#server.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/hook`;
  }

  get types(): string[] {
    return this.received.map(({ type }) => type);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
