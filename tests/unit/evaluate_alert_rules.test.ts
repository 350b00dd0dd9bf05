import assert from "node:assert/strict";
import { evaluateAlertRules } from "../../supabase/functions/_shared/jobs/evaluate_alert_rules.ts";
import type { Job } from "../../supabase/functions/_shared/database/jobs.ts";
import type { JobContext } from "../../supabase/functions/_shared/jobs/outcome.ts";

Deno.test("evaluate_alert_rules measures for the mode of the key, and logs when a rule failed", async () => {
  for (const [livemode, failed] of [[true, 0], [false, 2]] as const) {
    const asked: boolean[] = [], logged: unknown[] = [];
    const context = {
      env: { livemode },
      log: { error: (message: string, fields: unknown) => logged.push([message, fields]) },
      rpc: {
        evaluateAlertRules: (mode: boolean) => {
          asked.push(mode);
          return Promise.resolve(failed);
        },
      },
    } as unknown as JobContext;
    assert.deepEqual(await evaluateAlertRules({ kind: "evaluate_alert_rules" } as Job, context), {
      kind: "done",
    });
    assert.deepEqual(asked, [livemode]);
    assert.deepEqual(logged, failed === 0 ? [] : [["alert_rules_failed", { count: 2 }]]);
  }
});
