import assert from "node:assert/strict";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

async function unsubscribed(email: string | null): Promise<boolean> {
  const [row] = await sql`select private.reminders_unsubscribed(${email}) as value`;
  return row?.["value"];
}

async function suppress(email: string, reason: string): Promise<void> {
  await sql`insert into public.mail_suppressions (email_hmac, reason)
    values (private.email_hmac(${email}), ${reason}) on conflict do nothing`;
}

for (const reason of ["unsubscribed", "complained", "bounced"]) {
  Deno.test(`an address that is ${reason} gets no reminders, however it is written`, async () => {
    assert.equal(await unsubscribed(`${reason}@example.com`), false);
    await suppress(`${reason}@example.com`, reason);
    assert.equal(await unsubscribed(` ${reason.toUpperCase()}@Example.com`), true);
    assert.equal(await unsubscribed("somebody@example.com"), false);
    const [row] = await sql`select private.address_bounced(${`${reason}@example.com`}) as value`;
    assert.equal(row?.["value"], reason === "bounced");
  });
}

Deno.test("no address is no suppression", async () => {
  assert.equal(await unsubscribed(null), false);
});

Deno.test("the digest of an address is that of this database alone, and of mail alone", async () => {
  const [row] = await sql`select private.email_hmac('ada@example.com') as hmac,
    private.keyed_digest('ada@example.com') as other, encode(sha256('ada@example.com'), 'hex') as plain`;
  assert.match(row?.["hmac"], /^[0-9a-f]{64}$/);
  assert.notEqual(row?.["hmac"], row?.["other"]);
  assert.notEqual(row?.["hmac"], row?.["plain"]);
});
