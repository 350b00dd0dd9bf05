import assert from "node:assert/strict";
import type Stripe from "stripe";
import { stripeApiVersion } from "../../supabase/functions/_shared/stripe/api_version.ts";
import { enabledEvents } from "../../supabase/functions/_shared/stripe_events/mod.ts";
import { lookAt, sortEndpoints } from "../../supabase/functions/_shared/jobs/webhook_endpoints.ts";

function look(...own: object[]) {
  return lookAt(sortEndpoints(own.map((more, n) => ({
    id: `we_${n + 1}`,
    status: "enabled",
    api_version: stripeApiVersion,
    enabled_events: enabledEvents,
    created: n,
    metadata: {},
    ...more,
  } as Stripe.WebhookEndpoint))));
}

Deno.test("lookAt() takes the endpoint that setup makes for ok", () => {
  assert.deepEqual(look({}), { state: "ok", endpointId: "we_1", differences: [] });
});

Deno.test("lookAt() tells a missing endpoint from a disabled one, of whatever version", () => {
  assert.deepEqual(look(), { state: "missing", endpointId: null, differences: [] });
  assert.deepEqual(look({ status: "disabled" }), { state: "disabled", endpointId: "we_1", differences: [] });
  assert.equal(look({ status: "disabled", api_version: "2020-08-27" }).state, "disabled");
});

Deno.test("lookAt() judges the endpoint that delivers: an enabled one counts though another is disabled", () => {
  assert.deepEqual(look({ status: "disabled" }, {}), { state: "ok", endpointId: "we_2", differences: [] });
  const older = look({ status: "disabled" }, { api_version: "2020-08-27" });
  assert.deepEqual([older.state, older.endpointId], ["changed", "we_2"]);
});

Deno.test("lookAt() and setup leave an endpoint alone that a rotation has made, until it is the only one", () => {
  const made = { metadata: { rotation: "next" }, enabled_events: ["invoice.paid"] };
  assert.deepEqual(look(made, {}), { state: "ok", endpointId: "we_2", differences: [] });
  assert.equal(look(made, { api_version: "2020-08-27" }).endpointId, "we_2");
  assert.equal(look(made, { status: "disabled" }).endpointId, "we_1");
});

Deno.test("lookAt() says in words what differs from the registry: version, lacking and further events", () => {
  const [lacking, ...rest] = enabledEvents;
  assert.deepEqual(look({ api_version: null, enabled_events: [...rest, "invoice.paid"] }), {
    state: "changed",
    endpointId: "we_1",
    differences: [
      `sends API version of the account, not ${stripeApiVersion}`,
      `lacks ${lacking}`,
      "also sends invoice.paid",
    ],
  });
});
