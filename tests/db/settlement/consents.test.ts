/** What shoppers agree to: noted with each order, for staff, and erased as retention says. */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { admin, asRole, customer, sqlstateOf } from "../../support/role.ts";
import { deliver } from "./arrange.ts";
import type { Db } from "./goods.ts";
import { delivery } from "./moves.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** A paid order whose shopper has accepted the terms and wants no promotional mails. */
async function agreed(db: Db, change: (db: Db, story: Story) => PromiseLike<unknown>): Promise<Story> {
  const story = new Story(await beginOrder(db), 60, "T");
  await attachSession(db, story, "a");
  await change(db, story);
  story.paid("a");
  for (const event of story.events) {
    if (event.type.startsWith("checkout.session.")) {
      (event.data.object as Stripe.Checkout.Session).consent = {
        terms_of_service: "accepted",
        promotions: "opt_out",
      };
    }
    await deliver(db, [delivery(event)]);
  }
  return story;
}

const setTerms = (db: Db, version: string | null) =>
  db`update private.settings set value = (${
    JSON.stringify(version)
  }::text)::jsonb where key = 'terms_version'`;

async function consents(db: Db) {
  const rows = await db`select terms_consent, terms_version, promotions_consent, given_at is not null as dated
    from public.order_consents`;
  return rows.map((row) => ({ ...row }));
}

Deno.test("the text of the terms is that of the accepted version, and stays once orders were placed under it", async () => {
  await undone(sql, async (tx) => {
    const keep = (version: string, text: string) =>
      tx`insert into private.terms_texts (version, refund_policy) values (${version}, ${text})`;
    await keep("2026-03", "Within 30 days.");
    await keep("2026-09", "Within 14 days.");
    await setTerms(tx, "2026-03");
    const { frame } = await agreed(tx, (db) => setTerms(db, "2026-09"));
    const [row] = await tx`select private.accepted_terms(${frame.orderId}) as terms`;
    const { accepted_at, ...terms } = row?.["terms"];
    assert.match(accepted_at, /^20/);
    assert.deepEqual(terms, {
      version: "2026-03",
      refund_policy: "Within 30 days.",
      cancellation_policy: null,
    });
    const change = (version: string) =>
      tx`update private.terms_texts set refund_policy = 'Never.' where version = ${version}`;
    await change("2026-09");
    await tx`savepoint before`;
    assert.equal(await sqlstateOf(change("2026-03")), "SHINV");
    await tx`rollback to before`;
    assert.equal(await sqlstateOf(tx`delete from private.terms_texts where version = '2026-03'`), "SHINV");
  });
});

Deno.test("the terms that were accepted are those of when the page was made, whatever they are when it is paid", async () => {
  await undone(sql, async (tx) => {
    await setTerms(tx, "2026-03");
    const story = await agreed(tx, (db) => setTerms(db, "2026-09"));
    const noted = {
      terms_consent: "accepted",
      terms_version: "2026-03",
      promotions_consent: "opt_out",
      dated: true,
    };
    assert.deepEqual(await consents(tx), [noted]);
    await deliver(tx, story.moves);
    assert.deepEqual(await consents(tx), [noted], "delivered again");

    const [exported] = await tx`select public.export_person('ada@example.com') as person`;
    assert.equal(exported?.["person"].orders[0].consents[0].terms_version, "2026-03");

    await tx`select public.erase_customer('ada@example.com')`;
    const kept = { ...noted, promotions_consent: null };
    assert.deepEqual(await consents(tx), [kept]);
    await tx`update public.webhook_events set status = 'failed'`;
    await deliver(tx, story.moves);
    assert.deepEqual(await consents(tx), [kept], "nothing brings it back");
  });
});

Deno.test("a page that is reopened has the terms of its own attempt; without a version none is noted", async () => {
  await undone(sql, async (tx) => {
    await setTerms(tx, "2026-03");
    await agreed(tx, async (db, story) => {
      await setTerms(db, "2026-09");
      await db`update public.orders set attempt = attempt + 1 where id = ${story.frame.orderId}`;
    });
    const versions = await tx`select attempt, version from public.order_terms order by attempt`;
    assert.deepEqual(versions.map(({ attempt, version }) => [attempt, version]), [[1, "2026-03"], [
      2,
      "2026-09",
    ]]);
    assert.equal((await consents(tx))[0]?.["terms_version"], "2026-03", "page a is of the first attempt");
  });
  await undone(sql, async (tx) => {
    await agreed(tx, () => Promise.resolve());
    assert.deepEqual((await consents(tx)).map((row) => [row["terms_consent"], row["terms_version"]]), [[
      "accepted",
      null,
    ]]);
  });
});

Deno.test("consents are for staff: customers and anonymous callers see none", async () => {
  await using own = await searchDatabase();
  await setTerms(own.sql, "2026-03");
  await agreed(own.sql, () => Promise.resolve());
  const seen = (identity: Parameters<typeof asRole>[1], relation: string) =>
    asRole(own.sql, identity, async (tx) => (await tx.unsafe(`select 1 from public.${relation}`)).length);
  for (const relation of ["order_consents", "order_terms"]) {
    assert.equal(await seen(admin("aal2"), relation), 1, relation);
    assert.equal(await seen(customer(crypto.randomUUID()), relation), 0, relation);
    assert.equal(await sqlstateOf(seen("anon", relation)), "42501", relation);
  }
});
