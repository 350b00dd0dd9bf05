import { API_VERSION } from "../core/api_version.ts";
import { newId } from "../core/ids.ts";
import type { StoredEvent } from "./events.ts";
import { signatureHeader } from "./signature.ts";

/** How often an idle connection is checked; the CLI expects a sign of life well within a minute. */
const RECONNECT_DELAY_S = 10;

/** The `stripe listen` sessions now connected: each gets every event over its websocket. */
export class CliListeners {
  readonly #secret: string;
  readonly #sockets = new Set<WebSocket>();

  constructor(secret: string) {
    this.#secret = secret;
  }

  get count(): number {
    return this.#sockets.size;
  }

  /** What `POST /v1/stripecli/sessions` answers: where to connect, and the signing secret. */
  createSession(baseUrl: string): Response {
    const id = newId("listener");
    return Response.json({
      websocket_url: `${baseUrl.replace(/^http/, "ws")}/v1/stripecli/listen/${id}`,
      websocket_id: id,
      websocket_authorized_feature: "webhooks",
      reconnect_delay: RECONNECT_DELAY_S,
      secret: this.#secret,
      default_version: API_VERSION,
      latest_version: API_VERSION,
      device_token: id,
    });
  }

  /** Upgrades a CLI's connection. */
  connect(request: Request): Response {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return new Response("This address speaks websocket only.", { status: 426 });
    }
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    socket.onopen = () => this.#sockets.add(socket);
    socket.onclose = () => this.#sockets.delete(socket);
    socket.onerror = () => this.#sockets.delete(socket);
    // Acknowledgements and answers come back here; the CLI shows them to its user itself.
    socket.onmessage = () => {};
    return response;
  }

  /**
   * Sends an event to every listener: once for the account's default version (null) and once for the latest one.
   * The CLI drops the copy its `--latest` flag does not ask for.
   */
  send(event: StoredEvent, body: string): void {
    for (const socket of this.#sockets) {
      if (socket.readyState !== WebSocket.OPEN) continue;
      for (const version of [null, event.api_version]) socket.send(this.#message(body, version));
    }
  }

  #message(body: string, version: string | null): string {
    return JSON.stringify({
      type: "webhook_event",
      endpoint: { api_version: version },
      event_payload: body,
      http_headers: {
        "Cache-Control": "no-cache",
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signatureHeader(body, [this.#secret], Math.floor(Date.now() / 1000)),
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
      },
      webhook_id: newId("webhook_endpoint").replace("we_", "wh_"),
      webhook_conversation_id: newId("webhook_endpoint").replace("we_", "wc_"),
    });
  }

  closeAll(): void {
    for (const socket of this.#sockets) socket.close(1001, "the Stripe stand-in stops");
    this.#sockets.clear();
  }
}
