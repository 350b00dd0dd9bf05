/** The arguments of staff commands, judged when they are written. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { paidOrder, refusal } from "./goods.ts";
import { searchDatabase, undone } from "./search.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;

/** A command with arguments that it takes, and what must be refused of each type. */
const commands: Record<string, Record<string, unknown>> = {
  request_refund: {
    order_number: "KCT-0",
    amount: 100,
    reason: "x",
    restock: true,
    lines: [],
    shipping: true,
    confirm: true,
  },
  assign_refund: { refund_id: "re_0", lines: [], restock: true },
  announce_return: { order_number: "KCT-0", lines: [], reason: "x" },
  exchange_return: { order_number: "KCT-0", lines: [], reason: "x" },
  close_return: { return_id: "x", note: "x" },
  cancel_order: { order_number: "KCT-0", reason: "x" },
  receive_return: { order_number: "KCT-0", lines: [], note: "x" },
  release_review: { order_number: "KCT-0", note: "x" },
  mark_fulfilled: { order_number: "KCT-0", carrier: "UPS", tracking_number: "1Z", lines: [] },
  correct_shipment: { order_number: "KCT-0", parcel: 1, carrier: "UPS", tracking_number: "1Z" },
  submit_dispute_evidence: { dispute_id: "dp_0", note: "x", acknowledge_fee: true },
  resend_notification: { order_number: "KCT-0", template: "order_confirmation" },
  redrive_webhook_event: { event_id: "evt_0" },
  redrive_job: { job_id: 1 },
  erase_customer: { email: "nobody@example.com" },
  adjust_inventory: { sku: "NONE", delta: 1, reason: "x" },
  count_inventory: { counts: [], note: "x" },
  import_inventory: { csv: "NONE,1", note: "x" },
  add_product: { slug: "x", name: "x", description: "x", image_url: "x", active: true },
  set_price: { sku: "COAT-GRY-L", price_amount: 100, confirm: true, currency: "eur" },
  acknowledge_alert: { alert_id: "x" },
  resolve_alert: { alert_id: "x", note: "x" },
  set_alert_rule: {
    kind: "order_many_pieces",
    threshold: 40,
    minimum: 1,
    window_seconds: 3600,
    severity: "info",
    enabled: true,
    quiet_hours: "22:00-07:00",
  },
  accept_dispute: { dispute_id: "dp_0", note: "x" },
  leave_dispute: { dispute_id: "dp_0", note: "x" },
  export_person: { email: "nobody@example.com" },
  lift_mail_suppression: { email: "nobody@example.com", reason: "bounced" },
  add_variant: {
    product_slug: "none",
    sku: "X",
    price_amount: 1,
    currency: "usd",
    size: "M",
    color: "Blue",
    on_hand: 1,
    confirm: true,
  },
};

const wrong: Record<string, string[]> = {
  string: ["1", "true", "{}", "[]", `"${"x".repeat(20_001)}"`, '"a\\u0001b"'],
  number: ['"1"', '"1e3"', '"NaN"', "1.5", "1e30", "-1e30", "1e400", "true", "{}", "[1]"],
  boolean: ['"banana"', '"true"', "1", "{}", "[true]"],
  object: ['"x"', "1", "{}"],
};

/** Inserts a command past the functions, as an admin's REST call may. */
function insert(tx: Tx, command: string, args: string): PromiseLike<unknown> {
  return tx.unsafe("insert into public.staff_commands (command, args) values ($1, $2::text::jsonb)", [
    command,
    args,
  ]);
}

Deno.test("every staff command has its arguments in this file", async () => {
  const [check] = await sql`select pg_get_constraintdef(oid) as text from pg_constraint
    where conname = 'staff_commands_command_known'`;
  const known = [...String(check?.["text"]).matchAll(/'(\w+)'/g)].map((match) => match[1]).sort();
  assert.deepEqual(known, Object.keys(commands).sort());
  for (const [command, args] of Object.entries(commands)) {
    const fields = await sql`select field from private.staff_command_fields(${command})`;
    assert.deepEqual(fields.map(({ field }) => field).sort(), Object.keys(args).sort(), command);
  }
});

Deno.test("arguments of a command are judged when they are written: no odd one gets in, and the order settles on", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderId, orderNumber } } = await paidOrder(tx);
    for (const [command, valid] of Object.entries(commands)) {
      const args = "order_number" in valid ? { ...valid, order_number: orderNumber } : valid;
      const text = (changes: Record<string, string>) => {
        const fields = Object.entries(args).map(([key, value]) =>
          `${JSON.stringify(key)}: ${changes[key] ?? JSON.stringify(value)}`
        );
        return `{${
          [
            ...fields,
            ...Object.entries(changes).filter(([key]) => !(key in args)).map(([key, value]) =>
              `${JSON.stringify(key)}: ${value}`
            ),
          ].join(", ")
        }}`;
      };
      for (const bad of ["null", "[]", '"x"', "1", text({ unknown: "1" }), text({ __proto: "{}" })]) {
        assert.equal(await refusal(tx, insert(tx, command, bad)), "SHINV", `${command} ${bad}`);
      }
      for (const [field, value] of Object.entries(args)) {
        for (const bad of wrong[typeof value] ?? []) {
          const odd = text({ [field]: bad });
          assert.equal(
            await refusal(tx, insert(tx, command, odd)),
            "SHINV",
            `${command} ${odd.slice(0, 99)}`,
          );
        }
      }
    }
    assert.equal(await refusal(tx, insert(tx, "nonsense", "{}")), "23514");
    assert.equal((await tx`select 1 from public.staff_commands`).length, 0);
    const [settled] = await tx`select private.settle_order(${orderId}, 'test') as status`;
    assert.equal(settled?.["status"], "paid");
  });
});

Deno.test("arguments left empty are as good as none, and a whole number may be written 1.0", async () => {
  await undone(sql, async (tx) => {
    await insert(tx, "adjust_inventory", `{"sku": "COAT-GRY-L", "delta": 10.0, "reason": " "}`);
    const [command] = await tx`select args from public.staff_commands`;
    assert.deepEqual(command?.["args"], { sku: "COAT-GRY-L", delta: 10 });
  });
});
