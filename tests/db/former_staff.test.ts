/** Staff who are staff no more, with a token that still says so. */
import assert from "node:assert/strict";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { admin, asRole } from "../support/role.ts";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

const customerId = "00000000-0000-4000-8000-000000000001";

Deno.test("a token outlives neither the role of its account, nor its session: they count at once", async () => {
  const sees = async (claims: Record<string, unknown> = {}) => {
    const identity = { ...admin(), claims: { ...admin().claims, ...claims } };
    return await asRole(sql, identity, async (tx) => {
      const [row] = await tx`select private.is_admin() as sees`;
      return row?.["sees"];
    });
  };
  const account = admin().claims?.["sub"] as string;
  const [session] = await sql`insert into auth.sessions (user_id) values (${account}) returning id`;
  assert.equal(await sees({ session_id: session?.["id"] }), true);
  await sql`delete from auth.sessions where id = ${session?.["id"]}`;
  assert.equal(await sees({ session_id: session?.["id"] }), false, "signed out everywhere");
  const gone = [
    ["banned_until = now() + interval '1 hour'", "banned_until = null"],
    ["deleted_at = now()", "deleted_at = null"],
    [
      `raw_app_meta_data = raw_app_meta_data - 'role'`,
      `raw_app_meta_data = raw_app_meta_data || '{"role": "admin"}'`,
    ],
  ];
  for (const [taken = "", given = ""] of gone) {
    await sql.unsafe(`update auth.users set ${taken} where id = '${account}'`);
    assert.equal(await sees(), false, taken);
    await sql.unsafe(`update auth.users set ${given} where id = '${account}'`);
    assert.equal(await sees(), true, given);
  }
  assert.equal(await sees({ sub: customerId }), false, "the role is the account's");
});
