import { API_VERSION } from "../core/api_version.ts";
import { newId } from "../core/ids.ts";
import type { StoredEvent } from "./events.ts";
import { signatureHeader } from "./signature.ts";

/** The CLI resets its connection after this time and is away for a second. */
const RECONNECT_DELAY_S = 60;
/** A listener that stays away longer has ended; what it did not acknowledge is dropped. */
const AWAY_MS = 20_000;
const MAX_UNACKNOWLEDGED = 10_000;

/** One `stripe listen`, connected or between two connections. */
interface Listener {
  socket: WebSocket | null;
  awaySinceMs: number;
  /** Messages the CLI has not acknowledged, by conversation id: they are sent again when it comes back. */
  unacknowledged: Map<string, string>;
}

/** The `stripe listen` sessions: each gets every event over its websocket, at least once. */
export class CliListeners {
  readonly #secret: string;
  readonly #listeners = new Map<string, Listener>();

  constructor(secret: string) {
    this.#secret = secret;
  }

  /** How many are connected right now. */
  get count(): number {
    return [...this.#listeners.values()].filter(({ socket }) => socket?.readyState === WebSocket.OPEN).length;
  }

  /** What `POST /v1/stripecli/sessions` answers: where to connect, and the signing secret. */
  createSession(baseUrl: string): object {
    const id = newId("listener");
    return {
      websocket_url: `${baseUrl.replace(/^http/, "ws")}/v1/stripecli/listen/${id}`,
      websocket_id: id,
      websocket_authorized_feature: "webhooks",
      reconnect_delay: RECONNECT_DELAY_S,
      secret: this.#secret,
      default_version: API_VERSION,
      latest_version: API_VERSION,
      device_token: id,
    };
  }

  /** Upgrades a CLI's connection; `id` is the session's, the same at each reconnection. */
  connect(request: Request, id: string): Response {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return new Response("This address speaks websocket only.", { status: 426 });
    }
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    const listener = this.#listeners.get(id) ??
      { socket: null, awaySinceMs: Date.now(), unacknowledged: new Map<string, string>() };
    // Known from now on, so that what happens before the connection is open is sent once it is.
    this.#listeners.set(id, listener);
    const leave = () => {
      if (listener.socket !== socket) return;
      listener.socket = null;
      listener.awaySinceMs = Date.now();
    };
    socket.onopen = () => {
      listener.socket = socket;
      for (const message of listener.unacknowledged.values()) socket.send(message);
    };
    socket.onclose = leave;
    socket.onerror = leave;
    socket.onmessage = ({ data }) => {
      const conversation = acknowledged(data);
      if (conversation !== null) listener.unacknowledged.delete(conversation);
    };
    return response;
  }

  /**
   * Sends an event to every listener: once for the account's default version (null) and once for the latest one.
   * The CLI drops the copy its `--latest` flag does not ask for.
   */
  send(event: StoredEvent, body: string): void {
    for (const [id, listener] of this.#listeners) {
      if (listener.socket === null && Date.now() - listener.awaySinceMs > AWAY_MS) {
        this.#listeners.delete(id);
        continue;
      }
      for (const version of [null, event.api_version]) this.#tell(listener, body, version);
    }
  }

  #tell({ socket, unacknowledged }: Listener, body: string, version: string | null): void {
    const conversation = newId("webhook_endpoint").replace("we_", "wc_");
    const message = this.#message(body, version, conversation);
    unacknowledged.set(conversation, message);
    const [oldest] = unacknowledged.keys();
    if (unacknowledged.size > MAX_UNACKNOWLEDGED && oldest !== undefined) unacknowledged.delete(oldest);
    if (socket?.readyState === WebSocket.OPEN) socket.send(message);
  }

  #message(body: string, version: string | null, conversation: string): string {
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
      webhook_conversation_id: conversation,
    });
  }

  closeAll(): void {
    for (const { socket } of this.#listeners.values()) socket?.close(1001, "the Stripe stand-in stops");
    this.#listeners.clear();
  }
}

/** The conversation that a message of the CLI acknowledges, or null. */
function acknowledged(data: unknown): string | null {
  if (typeof data !== "string") return null;
  try {
    const message: unknown = JSON.parse(data);
    if (typeof message !== "object" || message === null || !("type" in message)) return null;
    if (message.type !== "event_ack" || !("webhook_conversation_id" in message)) return null;
    return String(message.webhook_conversation_id);
  } catch {
    return null;
  }
}
