/** Taxes: on top of the prices or inside them, by what a thing is, and of whom. */
import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import { assertInvariants, checkout, control, flush, setAvailable, stripeApi } from "./shop.ts";

Deno.test("taxes are on top or inside as the setting was when the order began, by tax code, and a business is known until erased", async (test) => {
  await using stack = await testStack({ env: { CHECKOUT_AUTOMATIC_TAX: "true", CHECKOUT_TAX_IDS: "true" } });
  const { sql } = stack;
  await setAvailable(stack, "SHIRT-OXF-WHT-M", 9);
  await sql`delete from public.shipping_rates`;
  await sql`insert into public.shipping_rates (name, amount, currency, tax_code)
    values ('Post', 1000, 'usd', 'txcd_92010001')`;
  await sql`update public.products set tax_code = 'txcd_30011000'`;
  const include = (value: boolean) =>
    sql`update private.settings set value = ${sql.json(value)} where key = 'prices_include_tax'`;
  const pay = async (session: string, fields: Record<string, unknown> = {}) => {
    const paid = await control(stack, "pay", { session, ...fields });
    assert.ok(paid.ok, await paid.text());
    await flush(stack);
  };
  const amounts = async (orderId: string) => {
    const [row] =
      await sql`select o.status, amount_tax::int as tax, amount_total::int as total, amount_paid::int as paid,
        x.review_reasons as reasons
      from public.orders o join public.order_risk x on x.order_id = o.id where o.id = ${orderId}`;
    return { ...row };
  };

  await test.step("exclusive: 8 % of goods and delivery on top, also when the setting changes before it is paid", async () => {
    const { body } = await checkout(stack, {});
    await include(true);
    await pay(body.session_id);
    assert.deepEqual(await amounts(body.order_id), {
      status: "paid",
      tax: 1_032 + 80,
      total: 12_900 + 1_000 + 1_112,
      paid: 15_012,
      reasons: [],
    });
    const session = await stripeApi(
      stack,
      "GET",
      `checkout/sessions/${body.session_id}?expand[]=line_items.data.price.product`,
    );
    assert.equal(session.line_items.data[0].price.product.tax_code, "txcd_30011000");
    const rate = await stripeApi(stack, "GET", `shipping_rates/${session.shipping_options[0].shipping_rate}`);
    assert.equal(rate.tax_code, "txcd_92010001");
  });

  const business = { business_name: "Turner Ltd", tax_id: { type: "eu_vat", value: "DE123456789" } };
  await test.step("inclusive: the total is that of the prices, and a business buyer gives tax ids", async () => {
    const { body } = await checkout(stack, { customer_email: "ada@example.com" });
    await pay(body.session_id, { ...business, email: "ada@example.com" });
    assert.deepEqual(await amounts(body.order_id), {
      status: "paid",
      tax: 956 + 74,
      total: 13_900,
      paid: 13_900,
      reasons: [],
    });
  });

  await test.step("what no tax is on has none, and the code of an order that waits stays as it was", async () => {
    await sql`update public.products set tax_code = 'txcd_00000000'`;
    const { body } = await checkout(stack, {});
    await sql`update public.products set tax_code = 'txcd_30011000'`;
    await pay(body.session_id);
    assert.deepEqual(await amounts(body.order_id), {
      status: "paid",
      tax: 74,
      total: 13_900,
      paid: 13_900,
      reasons: [],
    });
    const codes = await sql`select tax_code from public.order_items where order_id = ${body.order_id}`;
    assert.deepEqual(codes.map((row) => row["tax_code"]), ["txcd_00000000"]);
  });

  await test.step("the receipt, the export and the bookkeeping have the tax id, until the person is erased", async () => {
    const found = async () => {
      const [row] = await sql`select
        (select public.get_notification(n.id) -> 'order' -> 'business' ->> 'name' from public.notifications n
          join public.checkout_sessions s using (order_id)
          where n.template = 'order_confirmation' and s.business is not null) as receipt,
        (select private.export_of_person('ada@example.com')::text like '%DE123456789%') as exported,
        (select count(*)::int from reporting.accounting_export where tax_ids = 'DE123456789') as booked,
        (select count(*)::int from public.webhook_events where payload::text like '%DE123456789%') as events`;
      assert(row !== undefined);
      return { ...row } as { receipt: string | null; exported: boolean; booked: number; events: number };
    };
    const { events, ...before } = await found();
    assert.deepEqual(before, { receipt: "Turner Ltd", exported: true, booked: 1 });
    assert.ok(events > 0);
    await sql`select public.erase_customer('ada@example.com')`;
    assert.deepEqual(await found(), { receipt: null, exported: false, booked: 0, events: 0 });
  });
  await assertInvariants(stack);
});
