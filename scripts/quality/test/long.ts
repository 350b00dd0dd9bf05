/** The tests that are too long for every day. */

/**
 * Files that take about eight seconds of processor time or more each, or wait for downloads: whole lives of a shop,
 * thousands of orders of events, other programs driven from end to end. Together they are half of the time of all
 * tests. CI, `deno task ok` and `deno task test --all` run them, and `deno task test` those that it is given.
 */
export const LONG_FILES: readonly string[] = [
  "tests/db/checkout/velocity.test.ts",
  "tests/db/checkout/velocity_simulation.test.ts",
  "tests/db/rehearse/rebuild.test.ts",
  "tests/db/rehearse/rehearse.test.ts",
  "tests/db/settlement/convergence.test.ts",
  "tests/db/settlement/interleaving.test.ts",
  "tests/db/settlement/settings.test.ts",
  "tests/db/settlement/versions.test.ts",
  "tests/e2e/bag.test.ts",
  "tests/e2e/console.test.ts",
  "tests/e2e/own_page.test.ts",
  "tests/integration/disputes/evidence.test.ts",
  "tests/integration/hostile/hostile.test.ts",
  "tests/integration/jobs/reconcile.test.ts",
  "tests/integration/jobs/ungenerated.test.ts",
  "tests/integration/rescue/rescue.test.ts",
  "tests/integration/rotation/rehearsal.test.ts",
  "tests/integration/simulation/simulation.test.ts",
  "tests/integration/traces/traces.test.ts",
  "tests/integration/webhook/flood.test.ts",
  "tests/live/deploy.test.ts",
  "tests/live/rotate.test.ts",
  "tests/live/setup.test.ts",
  "tests/local/dev.test.ts",
  "tests/local/postgres.test.ts",
  "tests/postgrest/differential.test.ts",
  "tests/postgrest/integration.test.ts",
  "tests/quality/bench.test.ts",
  "tests/quality/chaos.test.ts",
  "tests/quality/flash.test.ts",
  "tests/quality/gate.test.ts",
  "tests/quality/tasks.test.ts",
  "tests/stand-in/clients.test.ts",
  "tests/stripe_cli/replay.test.ts",
  "tests/stripe_cli/trigger.test.ts",
];
