import { inBackground } from "../_shared/background.ts";
import { loadEnv } from "../_shared/env.ts";
import { functionLogger } from "../_shared/log.ts";
import { createRateLimiter } from "../_shared/limits/rate_limit.ts";
import { createCall } from "../_shared/database/client.ts";
import { eventCalls } from "../_shared/database/events.ts";
import { metricCalls } from "../_shared/database/metrics.ts";
import { webhookCalls } from "../_shared/database/webhooks.ts";
import { createMetrics, measured } from "../_shared/metrics.ts";
import { createAllowlist, type Membership } from "./allowlist.ts";
import { type Deps, handle } from "./handler.ts";
import { createReceiver } from "./receiver.ts";
import { createRejections } from "./rejections.ts";

const env = loadEnv();
const log = functionLogger("stripe-webhook", env);
const call = createCall(env);
const metrics = createMetrics({ rpc: metricCalls(call), log });
const rpc = { ...eventCalls(call), ...webhookCalls(call) };
const allowlist = createAllowlist({ rpc, extraAddresses: env.stripeWebhookExtraIps, log });
const rejections = createRejections({
  rpc,
  limiter: createRateLimiter({ env, call, log, metrics }),
  limitPerMinute: env.webhookRejectionLimit,
  log,
});
const deps: Deps = {
  env,
  receiver: createReceiver(rpc),
  allowlist: { check: checkSender },
  rejections,
  endSessions: (ids) => inBackground(endSessions(ids)),
  log,
  now: Date.now,
};

async function checkSender(address: string): Promise<Membership> {
  const membership = await allowlist.check(address);
  metrics.count("webhook_senders", [membership]);
  return membership;
}

async function endSessions(ids: string[]): Promise<void> {
  try {
    const module = await import("./end_sessions.ts");
    await module.endSessions(ids, { env, call, log });
  } catch (error) {
    log.warn("sessions_not_ended", { error });
  }
}

// Not awaited: the first delivery may arrive before the list does and then waits for the same load.
void allowlist.warm();

export default { fetch: measured("stripe-webhook", metrics, (request) => handle(request, deps)) };
