/** One API request, as `/_control/requests` shows it. */
export interface LoggedRequest {
  method: string;
  path: string;
  body: string;
  status: number;
  idempotency_key: string | null;
  stripe_version: string | null;
  at: string;
}

const KEPT = 1000;
const LONGEST_BODY = 20_000;

/** The last requests to the API, for tests and for whoever wants to see what a program asks of Stripe. */
export class RequestLog {
  readonly #requests: LoggedRequest[] = [];

  add(request: LoggedRequest): void {
    this.#requests.push({ ...request, body: request.body.slice(0, LONGEST_BODY) });
    if (this.#requests.length > KEPT) this.#requests.shift();
  }

  /** Oldest first. */
  get all(): readonly LoggedRequest[] {
    return this.#requests;
  }
}
