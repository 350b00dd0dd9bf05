// A day of a small shop, by stripe-node in Node. Prints what it saw as JSON; the other clients here do the same.
import { Buffer } from "node:buffer";
import { createServer } from "node:http";
import process from "node:process";
import Stripe from "stripe";

const [url, key] = process.argv.slice(2);
const { hostname, port } = new URL(url);
const stripe = new Stripe(key, { host: hostname, port, protocol: "http", telemetry: false });

const events = [];
let forgedRefused = false;
let secret = "";
const hook = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts);
    const signature = request.headers["stripe-signature"];
    events.push(stripe.webhooks.constructEvent(body, signature, secret).type);
    try {
      stripe.webhooks.constructEvent(`${body} `, signature, secret);
    } catch (error) {
      forgedRefused = error instanceof Stripe.errors.StripeSignatureVerificationError;
    }
    response.end();
  });
});
await new Promise((resolve) => hook.listen(0, "127.0.0.1", resolve));
const endpoint = await stripe.webhookEndpoints.create({
  url: `http://127.0.0.1:${hook.address().port}/hook`,
  enabled_events: ["checkout.session.completed", "charge.refunded"],
});
secret = endpoint.secret;

const product = await stripe.products.create({ name: "Silk tie" });
const price = await stripe.prices.create({ product: product.id, currency: "usd", unit_amount: 5900 });
const order = {
  mode: "payment",
  success_url: "http://shop.test/done",
  line_items: [{ price: price.id, quantity: 2 }],
  metadata: { order: "1001" },
};
const session = await stripe.checkout.sessions.create(order, { idempotencyKey: "order-1001" });
const again = await stripe.checkout.sessions.create(order, { idempotencyKey: "order-1001" });
const control = async (path, body) => {
  const response = await fetch(`${url}/_control/${path}`, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
};
await control("pay", { session: session.id });
const paid = await stripe.checkout.sessions.retrieve(session.id, {
  expand: ["payment_intent.latest_charge.balance_transaction"],
});
const refund = await stripe.refunds.create({ payment_intent: paid.payment_intent.id, amount: 500 });
await control("flush", {});

const declined = await stripe.paymentIntents.create({
  amount: 2000,
  currency: "usd",
  confirm: true,
  payment_method: "pm_card_chargeDeclinedInsufficientFunds",
  automatic_payment_methods: { enabled: true, allow_redirects: "never" },
}).then(() => null, (error) => error);
const unsupported = await stripe.invoices.create({}).then(() => null, (error) => error);

for (const name of ["a", "b", "c"]) await stripe.customers.create({ name, metadata: { kind: "letter" } });
const listed = await stripe.customers.list({ limit: 2 }).autoPagingToArray({ limit: 100 });
const found = await stripe.customers.search({ query: "metadata['kind']:'letter' AND -name:'b'" });
const setup = await stripe.setupIntents.create({
  confirm: true,
  payment_method: "pm_card_visa",
  automatic_payment_methods: { enabled: true, allow_redirects: "never" },
});
const balance = await stripe.balance.retrieve();
hook.close();

console.log(JSON.stringify({
  same_session: session.id === again.id,
  amount_total: paid.amount_total,
  payment_status: paid.payment_status,
  net: paid.payment_intent.latest_charge.balance_transaction.net,
  refund: refund.status,
  events: events.sort(),
  forged_refused: forgedRefused,
  declined: [declined.code, declined.decline_code, declined.statusCode],
  unsupported: unsupported.statusCode,
  customers: listed.length,
  found: found.data.map(({ name }) => name),
  setup: setup.status,
  pending: balance.pending.find(({ currency }) => currency === "usd").amount,
}));
