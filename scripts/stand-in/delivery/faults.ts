/** Faults of delivery: what the network between Stripe and the shop may do. */
export interface DeliveryFaults {
  /** Each event is delivered this many times. */
  duplicate: number;
  /** The share of attempts that get lost; the event is retried. */
  drop: number;
  /** Deliver in any order. */
  shuffle: boolean;
  /** Wait between these two times before the first attempt. */
  delayMs: [number, number];
}

/** A fault of the API for requests whose "METHOD /path" starts with `match`. */
export interface ApiFault {
  match: string;
  /** Answer this status instead; absent: only the delay applies. */
  status?: number;
  /** How many requests it hits; absent: all. */
  times?: number;
  delayMs?: number;
  /** Carry the request out, and lose only its answer. */
  after?: boolean;
}

const NO_DELIVERY_FAULTS: DeliveryFaults = { duplicate: 1, drop: 0, shuffle: false, delayMs: [0, 0] };
const SHUFFLE_WINDOW_MS = 300;

/** The faults now in force. They live in memory: a restart clears them. */
export class Faults {
  deliver: DeliveryFaults = { ...NO_DELIVERY_FAULTS };
  #api: ApiFault[] = [];
  /** Requests per second before 429; null: no limit. */
  rateLimit: number | null = null;

  clear(): void {
    this.deliver = { ...NO_DELIVERY_FAULTS };
    this.#api = [];
    this.rateLimit = null;
  }

  addApi(faults: readonly ApiFault[]): void {
    this.#api.push(...faults.map((fault) => ({ ...fault })));
  }

  get api(): readonly ApiFault[] {
    return this.#api;
  }

  /** The fault that hits this request, spending one of its times. `*` in a match stands for one path part. */
  take(method: string, path: string): ApiFault | undefined {
    const index = this.#api.findIndex((fault) => matches(fault.match, `${method} ${path}`));
    const fault = this.#api[index];
    if (fault === undefined) return undefined;
    if (fault.times !== undefined && --fault.times <= 0) this.#api.splice(index, 1);
    return fault;
  }

  /** How long the first attempt of a delivery waits. */
  initialDelayMs(): number {
    const [from, to] = this.deliver.delayMs;
    const spread = from + Math.random() * Math.max(0, to - from);
    return Math.round(this.deliver.shuffle ? spread + Math.random() * SHUFFLE_WINDOW_MS : spread);
  }

  loses(): boolean {
    return this.deliver.drop > 0 && Math.random() < this.deliver.drop;
  }
}

function matches(pattern: string, request: string): boolean {
  if (!pattern.includes("*")) return request.startsWith(pattern);
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join("[^/]*")}`).test(request);
}
