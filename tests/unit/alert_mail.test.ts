import assert from "node:assert/strict";
import { alertFields, alertMail } from "../../supabase/functions/_shared/mails/alert.ts";
import type { JobContext } from "../../supabase/functions/_shared/jobs/mod.ts";
import { sendAlert } from "../../supabase/functions/_shared/jobs/send_alert.ts";
import type { Job } from "../../supabase/functions/_shared/database/jobs.ts";
import type { StoredAlert } from "../../supabase/functions/_shared/database/notifications.ts";
import { testEnv } from "./fakes.ts";
import { shop } from "../support/mail_fixture.ts";

function alert(data: StoredAlert["data"]): StoredAlert {
  return {
    id: "a",
    kind: "refund_refused",
    severity: "critical",
    dedupe_key: "refund_refused:1",
    status: "open",
    count: 1,
    first_at: "2026-11-01T10:00:00Z",
    last_at: "2026-11-01T10:00:00Z",
    data,
    shop,
  };
}

Deno.test("an alert says amounts as money, and leaves other numbers as they are", () => {
  assert.deepEqual(alertFields(alert({ amount: 1_299_000, currency: "isk", days: 3, job_id: 12 })), [
    "amount: ISK\u00a012,990",
    "currency: isk",
    "days: 3",
    "job_id: 12",
  ]);
  assert.deepEqual(alertFields(alert({ amount: 100 })), ["amount: 100"]);
});

Deno.test("an alert carries no e-mail address and no key, however deep it lies", () => {
  const address = ["ada", "example.com"].join("@");
  const key = ["sk", "test", "1234567890abcdef"].join("_");
  const { text, html } = alertMail(
    alert({ cause: `told ${address}`, items: [{ note: `key ${key}` }] }),
    "https://shop.example",
    false,
  );
  for (const body of [text, html]) assert(!body.includes(address) && !body.includes(key));
});

Deno.test("an alert is one line per field in a mail, and calls nobody in a chat", async () => {
  const stored = alert({ cause: "a\nseverity: info\n<!channel> <https://evil.example|click> & more" });
  assert.equal(alertFields(stored).length, 1);
  assert.doesNotMatch(alertFields(stored)[0] ?? "", /\n/);
  const posted: { text: string; alert: StoredAlert }[] = [];
  const context = {
    env: testEnv({ ALERT_WEBHOOK_URL: "https://chat.example/hook" }),
    rpc: { getAlert: () => Promise.resolve(stored) },
    fetch: (_url: string, init: RequestInit) => {
      posted.push(JSON.parse(String(init.body)));
      return Promise.resolve(new Response());
    },
    now: Date.now,
  } as unknown as JobContext;
  const job = { id: 1, kind: "send_alert", payload: { alert_id: "a" } } as unknown as Job;
  assert.equal((await sendAlert(job, context)).kind, "done");
  assert.doesNotMatch(posted[0]?.text ?? "<", /[<>\n]/);
  assert.deepEqual(posted[0]?.alert.data, stored.data);
});
