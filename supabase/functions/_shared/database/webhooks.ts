/** The webhook endpoint: whom it listens to, whom it turned away, and what Stripe says of it. */
import type { Call, Known, Returned } from "./client.ts";

export type WebhookCalls = ReturnType<typeof webhookCalls>;

/** What one look at Stripe's webhook endpoints found at our address. */
export interface EndpointLook {
  state: "ok" | "disabled" | "changed" | "missing" | "not_permitted";
  /** Null where there is none, or the key may not read it. */
  endpointId: string | null;
  /** What is not as the registry of events says, in words. */
  differences: string[];
}

type Allowlist = Known<Returned<"get_webhook_allowlist">, { addresses: string[] }>;
type AddressChange = Known<Returned<"replace_webhook_addresses">, { added: string[]; removed: string[] }>;

export const webhookCalls = (call: Call) => ({
  recordWebhookRejection: (reason: string, sourceIp: string | null, count: number): Promise<void> =>
    call("record_webhook_rejection", { p_reason: reason, p_source_ip: sourceIp, p_count: count }),

  getWebhookAllowlist: () => call("get_webhook_allowlist", {}) as Promise<Allowlist>,

  /** @throws AppError `invalid_request` when the list is empty or has shrunk by more than half. */
  replaceWebhookAddresses: (addresses: string[]) =>
    call("replace_webhook_addresses", { p_addresses: addresses }) as Promise<AddressChange>,

  /** Notes what Stripe says of the endpoint at our address, in the mode of the key. */
  recordWebhookEndpoint: (livemode: boolean, look: EndpointLook): Promise<void> =>
    call("record_webhook_endpoint", {
      p_livemode: livemode,
      p_state: look.state,
      p_endpoint_id: look.endpointId,
      p_differences: look.differences,
    }),
});
