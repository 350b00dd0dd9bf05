/** Orders in several currencies: who may buy in which, and that no two of them are added up or compared. */
import assert from "node:assert/strict";
import {
  addVariants,
  attachSession,
  beginCheckout,
  isRefusal,
  tryCheckout,
  violations,
} from "./cart_support.ts";
import { expire, world } from "./attempt_support.ts";

const shirt = [{ sku: "SHIRT", quantity: 2 }];

/** A shirt in dollars and euros, a hat in dollars alone. */
async function shop() {
  const database = await world();
  const { sql } = database;
  await addVariants(sql, [{ sku: "SHIRT", onHand: 50, price: 12_900 }, {
    sku: "HAT",
    onHand: 5,
    price: 4_000,
  }]);
  await sql`insert into public.variant_prices (variant_id, currency, price_amount)
    select id, 'eur', 11_900 from public.product_variants where sku = 'SHIRT'`;
  return database;
}

Deno.test("begin_checkout() sells in the currency that is asked for, else in the country's, else in the articles' own", async () => {
  await using database = await shop();
  const { sql } = database;
  await sql`update private.settings set value = '{"DE": "eur", "US": "usd"}' where key = 'country_currencies'`;
  for (
    const [call, currency, amount] of [
      [{}, "usd", 25_800],
      [{ currency: "eur" }, "eur", 23_800],
      [{ country: "DE" }, "eur", 23_800],
      [{ country: "DE", currency: "usd" }, "usd", 25_800],
      [{ country: "FR" }, "usd", 25_800],
    ] as const
  ) {
    const begun = await beginCheckout(sql, { items: shirt, key: crypto.randomUUID(), ...call });
    assert.deepEqual([begun.currency, begun.amount_subtotal], [currency, amount], JSON.stringify(call));
    assert.deepEqual(begun.country, "country" in call ? call.country : null);
  }
  const hat = [...shirt, { sku: "HAT", quantity: 1 }];
  assert.deepEqual(await tryCheckout(sql, { items: hat, currency: "eur" }), {
    sqlstate: "SHNIC",
    detail: [{ sku: "HAT", currencies: ["usd"] }],
  });
  assert.deepEqual(await tryCheckout(sql, { items: shirt, currency: "gbp" }), {
    sqlstate: "SHNIC",
    detail: [{ sku: "SHIRT", currencies: ["eur", "usd"] }],
  });
  assert.deepEqual(await violations(sql), []);
});

Deno.test("begin_checkout() refuses an order that no delivery price holds for, and offers those that do", async () => {
  await using database = await shop();
  const { sql } = database;
  await sql`insert into public.shipping_rates (name, amount, currency, countries) values
    ('Post', 500, 'usd', null), ('DHL', 400, 'eur', '{DE,AT}'), ('Courier', 900, 'usd', '{US}')`;
  const offered = async (call: { currency?: string; country?: string }) => {
    const begun = await tryCheckout(sql, { items: shirt, key: crypto.randomUUID(), ...call });
    return isRefusal(begun) ? begun : begun.shipping_rates.map(({ name }) => name).sort();
  };
  assert.deepEqual(await offered({}), ["Courier", "Post"]);
  assert.deepEqual(await offered({ country: "CA" }), ["Post"]);
  assert.deepEqual(await offered({ currency: "eur", country: "AT" }), ["DHL"]);
  assert.deepEqual(await offered({ currency: "eur", country: "FR" }), {
    sqlstate: "SHSHP",
    detail: { currency: "eur", country: "FR" },
  });
  await sql`update public.shipping_rates set active = false where currency = 'eur'`;
  assert.deepEqual(await offered({ currency: "eur" }), {
    sqlstate: "SHSHP",
    detail: { currency: "eur", country: null },
  });
  await sql`update public.shipping_rates set active = false`;
  assert.deepEqual(await offered({ currency: "eur" }), [], "a shop without delivery prices delivers free");
});

Deno.test("the same key with another currency or country is another cart; opened again, an order keeps both", async () => {
  await using database = await shop();
  const { sql } = database;
  const first = await beginCheckout(sql, { items: shirt, key: "k", currency: "eur", country: "DE" });
  for (const other of [{}, { currency: "eur" }, { currency: "usd", country: "DE" }, { country: "DE" }]) {
    const answer = await tryCheckout(sql, { items: shirt, key: "k", ...other });
    assert.equal(isRefusal(answer) && answer.sqlstate, "SHIDC", JSON.stringify(other));
  }
  const again = await beginCheckout(sql, { items: shirt, key: "k", currency: "eur", country: "DE" });
  assert.equal(again.order_id, first.order_id);

  await expire(sql, first, await attachSession(sql, first, { currency: "eur" }));
  await sql`update public.variant_prices set price_amount = 9_900`;
  const reopened = await beginCheckout(sql, { items: shirt, key: "k", currency: "eur", country: "DE" });
  assert.deepEqual(
    [reopened.order_id, reopened.attempt, reopened.currency, reopened.amount_subtotal, reopened.country],
    [first.order_id, 2, "eur", 19_800, "DE"],
  );
  await expire(sql, reopened, await attachSession(sql, reopened, { currency: "eur" }));
  await sql`delete from public.variant_prices`;
  const gone = await tryCheckout(sql, { items: shirt, key: "k", currency: "eur", country: "DE" });
  assert.equal(isRefusal(gone) && gone.sqlstate, "SHSTK");
  assert.deepEqual(await violations(sql), []);
});

Deno.test("nobody is reminded of an order that its link could not open again in its currency", async () => {
  await using database = await shop();
  const { sql } = database;
  const begun = await beginCheckout(sql, { items: shirt, key: "k", currency: "eur", country: "DE" });
  await expire(sql, begun, await attachSession(sql, begun, { currency: "eur" }));
  const problem = async () => {
    const [row] =
      await sql`select private.recovery_problem(o, 'payment_reminder') as problem from public.orders o`;
    return row?.["problem"];
  };
  assert.equal(await problem(), null);
  for (const countries of ["{FR}", "{FR,DE}"]) {
    await sql`insert into public.shipping_rates (name, amount, currency, countries) values ('Post', 400, 'eur', ${countries})`;
    assert.equal(await problem(), countries === "{FR}" ? "nothing can be delivered" : null);
  }
  await sql`delete from public.variant_prices`;
  assert.equal(await problem(), "the goods are sold out");
});

Deno.test("without a key, the same cart for another country is another order", async () => {
  await using database = await shop();
  const { sql } = database;
  const [user] = await sql`insert into auth.users (id, email) values (${crypto.randomUUID()}, 'a@example.com')
    returning id`;
  const call = { items: shirt, userId: user?.["id"], supersede: false };
  const first = await beginCheckout(sql, { ...call, country: "US" });
  assert.equal((await beginCheckout(sql, { ...call, country: "US" })).order_id, first.order_id);
  assert.notEqual((await beginCheckout(sql, { ...call, country: "CA" })).order_id, first.order_id);
});

Deno.test("a limit on an amount counts orders in other currencies too, at the prices in its own", async () => {
  await using database = await shop();
  const { sql } = database;
  await assert.rejects(
    sql`update private.velocity_rules set currency = null where measure = 'amount'`.execute(),
    { constraint_name: "velocity_rules_amount_has_currency" },
  );
  await sql`update private.velocity_rules set enabled = false where name <> 'address_amount'`;
  await sql`update private.velocity_rules set threshold = 60000, action = 'block' where name = 'address_amount'`;
  const buy = async (ip: string, ...carts: [currency: string, quantity: number][]) => {
    const outcomes: string[] = [];
    for (const [currency, quantity] of carts) {
      const call = { items: [{ sku: "SHIRT", quantity }], key: crypto.randomUUID(), currency, ip };
      outcomes.push((await beginCheckout(sql, { ...call, velocityMode: "enforce" })).outcome);
    }
    return outcomes;
  };
  // A shirt is 129 dollars and 119 euros: five of them are 645 dollars, in whatever currency they are bought.
  const refused = ["created", "created", "velocity_exceeded"];
  assert.deepEqual(await buy("203.0.113.1", ["eur", 2], ["eur", 2], ["eur", 1]), refused);
  assert.deepEqual(await buy("203.0.113.2", ["usd", 2], ["eur", 2], ["usd", 1]), refused);
  assert.deepEqual(await buy("203.0.113.3", ["eur", 2], ["usd", 2], ["eur", 1]), refused);
  assert.deepEqual(await buy("203.0.113.4", ["eur", 5]), ["velocity_exceeded"]);
  // What is not sold in the currency of a rule has no amount in it.
  await sql`update private.velocity_rules set currency = 'gbp'`;
  assert.deepEqual(await buy("203.0.113.5", ["eur", 5], ["usd", 5]), ["created", "created"]);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("amounts of two currencies are never added up: reports, digest, usual orders", async () => {
  await using database = await shop();
  const { sql } = database;
  for (const currency of ["eur", "eur", "eur", "usd"]) {
    await beginCheckout(sql, { items: shirt, key: crypto.randomUUID(), currency });
  }
  await sql`update public.orders set paid_at = now(), status = 'paid', amount_paid = amount_total, email = 'a@example.com'`;
  const sums = async (query: PromiseLike<Iterable<Record<string, unknown>>>) =>
    [...await query].map(({ currency, amount }) => [currency, Number(amount)]).sort();
  const expected = [["eur", 71_400], ["usd", 25_800]];
  await sql.begin(async (tx) => {
    await tx`select set_config('request.jwt.claims', '{"role":"service_role"}', true)`;
    for (const view of ["revenue_daily", "customer_history"]) {
      const rows = tx.unsafe(`select currency, amount_paid as amount from reporting.${view}`);
      assert.deepEqual(await sums(rows), expected, view);
    }
    const rows = tx`select currency, amount from private.usual_orders(false, now() + interval '1 second')`;
    assert.deepEqual(await sums(rows), [["eur", 23_800], ["usd", 25_800]]);
  });
  const [digest] = await sql`select public.get_digest(current_date, false) -> 'sales' as sales`;
  assert.deepEqual(
    digest?.["sales"].map(({ currency, amount }: { currency: string; amount: number }) => [currency, amount]),
    expected,
  );
});
