/** Checks of `deno task pci` that read the database, on one in which something is wrong. */
import assert from "node:assert/strict";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { alerts } from "../../scripts/live/pci/alerts.ts";
import { auditTrail } from "../../scripts/live/pci/audit_trail.ts";
import { cardNumbersInDatabase } from "../../scripts/live/pci/card_numbers_database.ts";
import type { Check, Scene } from "../../scripts/live/pci/check.ts";
import { paymentPage } from "../../scripts/live/pci/payment_page.ts";
import { retention } from "../../scripts/live/pci/retention.ts";
import { asRole } from "../support/role.ts";
import { fillTables } from "../db/rls_fixture.ts";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** What a check has found, one line each. */
async function found(check: Check, given: Partial<Scene> = {}): Promise<string[]> {
  const env = { siteUrl: "https://shop.example", allowedOrigins: ["https://www.shop.example"] };
  const scene = { kind: "project", subject: { env }, sql, ...given } as Scene;
  return (await check(scene)).findings.map(({ where, what }) => `${where}: ${what}`);
}

Deno.test("pci: old rows, waiting alerts, a payment page of the shop's own and a broken trail are findings", async () => {
  for (const check of [retention, alerts, auditTrail, paymentPage]) assert.deepEqual(await found(check), []);
  // Rows of which no trigger knows: the audit trail must miss them.
  await fillTables(sql);
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`truncate private.audit_leaves, private.audit_seals, private.audit_unsealed`;
    await tx`update public.webhook_rejections set last_at = now() - interval '94 days'`;
    await tx`update public.webhook_events set status = 'processed', payload = '{}', received_at = now() - interval '92 days'`;
    await tx`update public.alerts set kind = 'made_up', severity = 'critical', status = 'open',
      first_at = now() - interval '8 days', last_at = now(), told_at = now() - interval '8 days'`;
    await tx`update public.checkout_sessions set url = 'https://www.shop.example/pay'`;
  });
  assert.deepEqual(await found(retention), [
    "addresses of refused webhooks (retention_log_days): 1 rows are kept too long: see that the job purge runs",
  ], "two days of grace are left for the payload");
  assert.match(
    (await found(alerts)).join(),
    /^alert [0-9a-f-]+ \(made_up\): critical, and open for more than 7 days$/,
  );
  await sql`update public.alerts set told_at = now() - interval '6 days'`;
  assert.deepEqual(await found(alerts), [], "one that is back has not waited since it happened first");
  assert.deepEqual(await found(paymentPage), [
    "www.shop.example: payment pages on the shop's own site: SAQ A does not cover them",
  ]);
  assert.notDeepEqual(await found(auditTrail), []);
});

Deno.test("pci: a role that does not see everything says what it has not looked at", async () => {
  const result = await asRole(
    sql,
    "service_role",
    (tx) => cardNumbersInDatabase({ sql: tx as unknown as Scene["sql"] } as Scene),
  );
  assert.match(result.notExamined.join("\n"), /^private\.settings: this role may not read it$/m);
});
