/**
 * The addresses that Stripe posts webhooks from, kept in memory so that no request pays a round trip for them.
 * Loaded when the worker starts, then refreshed behind the requests; an address that is not on the list gets
 * a second look at the database before it is refused, because Stripe adds addresses.
 */
import type { Logger } from "../_shared/log.ts";
import type { WebhookCalls } from "../_shared/database/webhooks.ts";

export interface AllowlistDeps {
  rpc: Pick<WebhookCalls, "getWebhookAllowlist">;
  /** Allowed besides Stripe's: STRIPE_WEBHOOK_EXTRA_IPS. */
  extraAddresses: readonly string[];
  log: Logger;
  now?: () => number;
}

/** `unknown` when the list could not be loaded at all. */
export type Membership = "listed" | "unlisted" | "unknown";

export interface Allowlist {
  /** Never fails. */
  check(address: string): Promise<Membership>;
  /** Loads the list ahead of the first request. */
  warm(): Promise<void>;
}

/** Older than this, the list is refreshed behind the requests; it bounds how stale an answer can be. */
const freshMs = 5 * 60_000;
/** Between two looks caused by addresses that are not listed: a flood of them must not become a flood of queries. */
const secondLookMs = 15_000;
/** After a failed load. */
const retryMs = 2_000;

/** A cache in front of `get_webhook_allowlist()`. */
export function createAllowlist({ rpc, extraAddresses, log, now = Date.now }: AllowlistDeps): Allowlist {
  const extra = new Set(extraAddresses);
  let addresses: ReadonlySet<string> | null = null;
  let loadedAt = -Infinity;
  let triedAt = -Infinity;
  let loading: Promise<void> | null = null;

  function load(): Promise<void> {
    loading ??= rpc.getWebhookAllowlist()
      .then((answer) => {
        addresses = new Set(answer.addresses);
        loadedAt = now();
      })
      .catch((error) => log.warn("webhook_allowlist_not_loaded", { error }))
      .finally(() => {
        triedAt = now();
        loading = null;
      });
    return loading;
  }

  return {
    warm: load,
    async check(address) {
      if (extra.has(address)) return "listed";
      if (addresses === null && now() - triedAt >= retryMs) await load();
      if (addresses === null) return "unknown";
      if (now() - loadedAt >= freshMs && now() - triedAt >= secondLookMs) void load();
      if (!addresses.has(address) && now() - triedAt >= secondLookMs) await load();
      return addresses.has(address) ? "listed" : "unlisted";
    },
  };
}
