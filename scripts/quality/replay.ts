/**
 * `deno task replay`: the official Stripe CLI drives webhooks through a stack, and the database must say what it
 * should. Joins the stack that runs in LOCAL_DIR, or starts one. With STRIPE_SECRET_KEY=sk_test_… the real Stripe
 * takes the stand-in's place. Exits 1 on any difference.
 */
import { findStripeCli } from "../lib/stripe_cli.ts";
import { Report } from "./replay/report.ts";
import { Scenario } from "./replay/scenario.ts";
import { checkFunctions, isTestKey, openTarget } from "./replay/target.ts";
import { runTask } from "../lib/task.ts";
import { connect } from "../lib/connection.ts";
import { StackError } from "../lib/errors.ts";

const usage = `deno task replay

  The official Stripe CLI drives webhooks through the stack that runs in LOCAL_DIR, or through one of its own; with
  STRIPE_SECRET_KEY=sk_test_… through that test account. Exit code 1 when the database does not say what it should.`;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags: {},
      // With a test key the payments are made there, by a stack of its own all the same.
      offline: !isTestKey(Deno.env.get("STRIPE_SECRET_KEY")),
      run: async () => await replay() === 0 ? 0 : 1,
    }, Deno.args),
  );
}

/** Runs the whole replay; returns the number of differences. */
async function replay(): Promise<number> {
  const cliPath = await findStripeCli();
  if (cliPath === null) {
    throw new StackError("The Stripe CLI is missing: install Node (npx fetches it), or set STRIPE_CLI_PATH");
  }
  console.log("Opening the stack …");
  const target = await openTarget(cliPath);
  try {
    await checkFunctions(target.stack);
    console.log(`Replaying through ${target.description}\n`);
    const listener = await target.cli.listen(`${target.stack.functions_url}/stripe-webhook`);
    const sql = connect(target.stack.db_url);
    try {
      const report = new Report();
      report.add(
        "`stripe listen` signs with our secret",
        "yes",
        target.apiBase === null || listener.secret === target.stack.stripe_webhook_secret ? "yes" : "no",
      );
      await new Scenario(target, sql, report).run(listener);
      report.print();
      return report.differences;
    } finally {
      await sql.end();
      await listener.stop();
    }
  } finally {
    await target.close();
  }
}
