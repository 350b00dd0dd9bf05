import assert from "node:assert/strict";
import { payIntent, refusal, standIn } from "./stand_in.ts";

const { test } = Deno;

test("search finds by exact text, parts, size, absence and metadata, all or any of its clauses", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const jenny = await stripe.customers.create({
    name: "Jenny Rosen",
    email: "jenny@example.com",
    phone: "123",
  });
  const amy = await stripe.customers.create({
    name: 'Amy "Ace" O\'Neil',
    email: "amy@shop.test",
    metadata: { plan: "gold", "loyalty tier": "1" },
  });
  const gone = await stripe.customers.create({ name: "Jenny Gone" });
  await stripe.customers.del(gone.id);
  const names = async (query: string) =>
    (await stripe.customers.search({ query })).data.map(({ name }) => name?.split(" ")[0]);
  const answers: Record<string, string[]> = {
    "email:'jenny@example.com'": ["Jenny"],
    'email:"JENNY@example.com"': ["Jenny"],
    "email:'example.com'": [],
    "email~'example'": ["Jenny"],
    "-email~'example'": ["Amy"],
    "name~'ros' AND email~'exam'": ["Jenny"],
    "name~'ros' email~'shop'": [],
    "name~'ros' or email~'shop'": ["Amy", "Jenny"],
    'name:"Amy \\"Ace\\" O\'Neil"': ["Amy"],
    "metadata['plan']:'gold'": ["Amy"],
    'metadata["loyalty tier"]:"1"': ["Amy"],
    "-metadata['plan']:'gold'": ["Jenny"],
    "metadata['plan']:null": ["Jenny"],
    "-phone:null": ["Jenny"],
    "created>0": ["Amy", "Jenny"],
    "created<=0": [],
  };
  for (const [query, expected] of Object.entries(answers)) {
    assert.deepEqual(await names(query), expected, query);
  }

  await payIntent(stripe, "pm_card_amex", { amount: 900, customer: amy.id, metadata: { order: "7" } });
  await payIntent(stripe, "pm_card_visa", { amount: 2500, customer: jenny.id });
  const amounts = async (query: string) =>
    (await stripe.charges.search({ query })).data.map(({ amount }) => amount);
  assert.deepEqual(await amounts("amount>899 amount<901"), [900]);
  assert.deepEqual(await amounts("payment_method_details.card.last4:4242"), [2500]);
  assert.deepEqual(await amounts(`customer:'${amy.id}' AND status:'succeeded'`), [900]);
  assert.deepEqual(await amounts("refunded:'true'"), []);
  const intents = await stripe.paymentIntents.search({ query: "metadata['order']:'7'" });
  assert.deepEqual(intents.data.map(({ amount }) => amount), [900]);
  const product = await stripe.products.create({ name: "Silk tie", description: "Woven" });
  await stripe.prices.create({ product: product.id, currency: "usd", unit_amount: 5900, lookup_key: "tie" });
  assert.equal((await stripe.products.search({ query: "name~'silk' AND active:'true'" })).data.length, 1);
  assert.equal(
    (await stripe.prices.search({ query: `lookup_key:'tie' product:'${product.id}'` })).data.length,
    1,
  );
});

test("search refuses what its language does not have", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const refused: Record<string, RegExp> = {
    "asdf": /unable to parse your search query/,
    "email:jenny": /unable to parse your search query/,
    "email:'a' AND": /unable to parse your search query/,
    "email:'a' name": /unable to parse your search query/,
    "metadata:'a'": /unable to parse your search query/,
    "foo:'bar'": /Field `foo` is an unsupported search field for resource `customers`/,
    "email['a']:'b'": /Field `email` is an unsupported search field/,
    "email:'a' AND name:'b' OR phone:'c'": /can't combine `AND` and `OR`/,
    "email>'a'": /does not support the operator `>`/,
    "email~'ab'": /at least three characters/,
    "metadata['a']~'abc'": /does not support the substring operator/,
    "created:'today'": /is numeric/,
  };
  for (const [query, message] of Object.entries(refused)) {
    const error = await refusal(stripe.customers.search({ query }));
    assert.deepEqual([error.statusCode, error.param], [400, "query"], query);
    assert.match(error.message, message, query);
  }
  const long = Array.from({ length: 11 }, () => "email:'a'").join(" ");
  assert.match((await refusal(stripe.customers.search({ query: long }))).message, /at most 10 clauses/);
  const page = await refusal(stripe.customers.search({ query: "created>0", page: "nonsense" }));
  assert.equal(page.param, "page");
  // There are no invoices and subscriptions here, and no search of refunds at Stripe.
  assert.equal((await refusal(stripe.invoices.search({ query: "total>1" }))).statusCode, 501);
  assert.equal((await refusal(stripe.rawRequest("GET", "/v1/refunds/search"))).statusCode, 404);
});

test("search pages by next_page, newest first, and counts when asked", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  for (const name of ["a", "b", "c", "d", "e"]) {
    await stripe.customers.create({ name, metadata: { kind: "letter" } });
  }
  const query = "metadata['kind']:'letter'";
  const first = await stripe.customers.search({ query, limit: 2, expand: ["total_count"] });
  assert.deepEqual([first.data.map(({ name }) => name), first.has_more, first.total_count], [
    ["e", "d"],
    true,
    5,
  ]);
  const second = await stripe.customers.search({ query, limit: 2, page: first.next_page ?? "" });
  assert.deepEqual(second.data.map(({ name }) => name), ["c", "b"]);
  assert.equal(second.total_count, undefined);
  const last = await stripe.customers.search({ query, limit: 2, page: second.next_page ?? "" });
  assert.deepEqual([last.data.map(({ name }) => name), last.has_more, last.next_page], [["a"], false, null]);
  const all = await stripe.customers.search({ query, limit: 2 }).autoPagingToArray({ limit: 100 });
  assert.equal(all.length, 5);
});
