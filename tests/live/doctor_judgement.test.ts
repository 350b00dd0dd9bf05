/** What the doctor makes of what it has read. */
import assert from "node:assert/strict";
import Stripe from "stripe";
import { judgeAuth } from "../../scripts/live/doctor/auth.ts";
import { judgeJobs, judgeStaff, judgeWebhooks } from "../../scripts/live/doctor/health.ts";
import { judgeShipping } from "../../scripts/live/doctor/shipping.ts";
import { howFarBehind, judgeEndpoint } from "../../scripts/live/doctor/stripe.ts";
import { sortEndpoints } from "../../supabase/functions/_shared/jobs/webhook_endpoints.ts";
import { stripeApiVersion } from "../../supabase/functions/_shared/stripe/api_version.ts";
import { enabledEvents } from "../../supabase/functions/_shared/stripe_events/mod.ts";

Deno.test("doctor: shipping rates that narrow where a page delivers, or that few see, are named", () => {
  const rate = (name: string, countries: string[] | null, currency = "usd") => ({
    name,
    currency,
    countries,
  });
  const judged = (...rates: ReturnType<typeof rate>[]) =>
    judgeShipping(rates, ["US", "CA"]).map(({ level, what }) => `${level} ${what}`).join("; ");
  assert.match(judged(rate("World", null), rate("Both", ["CA", "MX", "US"])), /^ok /);
  assert.match(judged(), /^ok /);
  assert.match(
    judged(rate("World", null), rate("US only", ["US"])),
    /^warning .*only checkouts with a country are offered: US only$/,
  );
  assert.match(
    judged(rate("US only", ["US"]), rate("CA only", ["CA"]), rate("World", null, "eur")),
    /^warning a checkout in usd without a country does not deliver to all .*US only, CA only/,
  );
});

Deno.test("doctor: a silent heartbeat and an old queue are errors", () => {
  const now = Date.parse("2026-11-24T12:00:00Z");
  const at = (minutes: number) => new Date(now - minutes * 60_000).toISOString();
  const what = (jobs: Record<string, unknown>) => judgeJobs(jobs, "project", now).map(({ what }) => what);
  assert.deepEqual(what({ last_run_at: null }), ["retry-jobs has never run"]);
  assert.deepEqual(what({ last_run_at: at(11) }), ["retry-jobs has not run for 11 minutes"]);
  assert.deepEqual(what({ last_run_at: at(1), oldest_due_seconds: 1_200 }), [
    "the oldest job has been due for 20 minutes",
  ]);
  assert.deepEqual(what({ last_run_at: at(1), due: 2 }), ["retry-jobs runs; 2 jobs due, none dead"]);
});

Deno.test("doctor: of several endpoints the enabled one with our API version counts, the others are surplus", () => {
  const endpoint = (id: string, more: object) =>
    ({
      id,
      status: "enabled",
      api_version: stripeApiVersion,
      enabled_events: ["*"],
      created: 1,
      metadata: {},
      ...more,
    }) as Stripe.WebhookEndpoint;
  const state = sortEndpoints([
    endpoint("we_old", { api_version: "2020-08-27" }),
    endpoint("we_off", { status: "disabled" }),
    endpoint("we_on", { created: 2, enabled_events: [...enabledEvents, "invoice.paid"] }),
  ]);
  assert.equal(state.current?.id, "we_on");
  assert.deepEqual(state.surplus.map(({ id }) => id), ["we_old"]);
  assert.deepEqual(judgeEndpoint(state, "https://x", "fix").map(({ level, what }) => [level, what]), [
    ["warning", "webhook endpoint we_on also sends invoice.paid"],
    ["warning", "webhook endpoint we_old delivers to the same address"],
  ]);
});

Deno.test("doctor: says when the database and ADMIN_REQUIRE_MFA disagree about the second factor of staff", () => {
  const said = (required: boolean, wanted: boolean) =>
    judgeStaff({ status: "ok", second_factor: required }, wanted)
      .map(({ level, what, fix }) => `${level} ${what} ${fix}`).join("; ");
  assert.match(said(true, true), /^ok staff need a second factor/);
  assert.match(said(false, false), /^ok staff need no second factor/);
  assert.match(said(true, false), /^warning .*ADMIN_REQUIRE_MFA is not true.*update private\.settings/);
  assert.match(said(false, true), /^warning .*ADMIN_REQUIRE_MFA is true.*deno task setup/);
});

Deno.test("doctor: an endpoint of an older version works and is named with how far it is behind, a newer one is an error", () => {
  const judged = (api_version: string) => {
    const endpoint = {
      id: "we_1",
      status: "enabled",
      api_version,
      enabled_events: ["*"],
      created: 1,
      metadata: {},
    };
    return judgeEndpoint(sortEndpoints([endpoint as unknown as Stripe.WebhookEndpoint]), "https://x", "fix")
      .map(({ level, what }) => [level, what]);
  };
  assert.deepEqual(judged("2024-06-20"), [
    ["warning", `webhook endpoint we_1 sends API version 2024-06-20, 2 years behind ${stripeApiVersion}`],
  ]);
  assert.deepEqual(judged("2031-01-01.later"), [
    ["error", `webhook endpoint we_1 sends API version 2031-01-01.later, not ${stripeApiVersion}`],
  ]);
});

Deno.test("doctor: a disabled endpoint of another version is disabled, not missing", () => {
  const endpoint = {
    id: "we_1",
    status: "disabled",
    api_version: "2020-08-27",
    enabled_events: [],
    created: 1,
    metadata: {},
  };
  const state = sortEndpoints([endpoint as unknown as Stripe.WebhookEndpoint]);
  assert.deepEqual(judgeEndpoint(state, "https://x", "fix").map(({ what }) => what), [
    "webhook endpoint we_1 is disabled at Stripe",
  ]);
});

Deno.test("doctor says what the shop says of deliveries: silence, the endpoint's alerts, a key that may not look", () => {
  const said = (figures: Record<string, unknown>) =>
    judgeWebhooks(figures).map(({ level, what }) => `${level} ${what}`).join("; ");
  assert.equal(said({ problems: [], endpoint: "missing" }), "ok every webhook event is applied");
  assert.equal(
    said({ problems: ["webhook_silence"], last_delivered_at: null }),
    "error money moves and Stripe delivers nothing (last delivery: never)",
  );
  assert.match(
    said({ problems: ["webhook_endpoint_disabled"] }),
    /^warning .*webhook_endpoint_disabled is open$/,
  );
  assert.match(
    said({ problems: ["webhook_endpoint_changed"] }),
    /^warning .*webhook_endpoint_changed is open$/,
  );
  assert.match(said({ endpoint: "not_permitted" }), /^warning .*may not read webhook endpoints/);
});

Deno.test("doctor: how far behind a version is, in words", () => {
  const behind = (version: string) => howFarBehind(version, "2026-10-28.endive");
  assert.equal(behind("2026-10-27.endive"), "1 day");
  assert.equal(behind("2026-08-26.dahlia"), "2 months");
  assert.equal(behind("2025-03-31.basil"), "18 months");
  assert.equal(behind("2018-11-08"), "7 years");
  assert.equal(behind("2026-10-28.endive"), null);
  assert.equal(behind("2031-01-01"), null);
  assert.equal(behind("none"), null);
});

Deno.test("doctor names the Auth setting under which an address is believed without proof", () => {
  const [off] = judgeAuth({ mailer_autoconfirm: true });
  assert.equal(off?.level, "warning");
  assert.match(`${off?.what} ${off?.fix}`, /Confirm email.*guest order/);
  assert.deepEqual(judgeAuth({ mailer_autoconfirm: false }).map(({ level }) => level), ["ok"]);
});
