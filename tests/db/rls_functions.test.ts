import assert from "node:assert/strict";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { admin, type ApiIdentity, type ApiRole, asRole, customer, sqlstateOf } from "../support/role.ts";
import { type Routine, routines } from "./rls_fixture.ts";
import { nonEmpty } from "../support/non_empty.ts";

/** What staff may call. Each runs with the caller's rights: the policies of staff_commands decide. */
const staffCommands = [
  "request_refund",
  "cancel_order",
  "release_review",
  "mark_fulfilled",
  "correct_shipment",
  "assign_refund",
  "announce_return",
  "exchange_return",
  "close_return",
  "submit_dispute_evidence",
  "resend_notification",
  "redrive_webhook_event",
  "redrive_job",
  "erase_customer",
  "adjust_inventory",
  "count_inventory",
  "import_inventory",
  "receive_return",
  "add_variant",
  "add_product",
  "set_price",
  "acknowledge_alert",
  "resolve_alert",
  "set_alert_rule",
  "accept_dispute",
  "export_person",
  "lift_mail_suppression",
  "leave_dispute",
];
/**
 * Functions outside the API that signed-in callers may run: policies, commands and the views of schema reporting call
 * them. All but is_admin(), suppressions_of(), report_setting() and
 * shown_available() run with the caller's own rights.
 */
const privateForAuthenticated = [
  "is_admin",
  "first_for_staff",
  "shown_available",
  "submit_command",
  "is_command",
  "mask_cards_in",
  "mask_cards",
  "is_card_number",
  "export_of_order",
  "export_of_person",
  "suppressions_of",
  "hold_reasons",
  "refund_overtaken_by",
  "refund_is_off",
  "refund_is_owed",
  "refund_tried_again",
  "money_left",
  "dispute_holds",
  "awaits_evidence",
  // Of an order that the caller may read: what its payment says of its currency.
  "presentment",
  "line_positions",
  "refunded_pieces",
  "exchanged_pieces",
  "report_setting",
  "sees_reports",
  "money_text",
  "major_unit",
  "amount_step",
  "address_text",
  "phone_end",
];
const privateForAnonymous = ["is_admin", "shown_available"];

/**
 * Functions outside the API that run with their owner's rights: what policies call, and triggers on rows that API
 * roles or Auth write. Whatever runs below a door has the owner's rights already.
 */
const privateDoors = [
  "is_admin",
  "suppressions_of",
  "mask_command",
  "note_staff_account",
  "note_unsealed",
  "on_email_changed",
  "refuse_own_number",
  "report_setting",
  "run_staff_command",
  "shown_available",
  "sign_staff_command",
];

const database = await createTestDatabase();
const { sql } = database;
const all = await routines(sql);
const shopper = customer(crypto.randomUUID());

Deno.test.afterAll(() => database.drop());

async function mayExecute(role: ApiRole, routine: Routine): Promise<boolean> {
  const [row] = await sql`select has_function_privilege(${role}, ${routine.oid}::oid, 'execute') as may`;
  return row?.["may"] === true;
}

/** Calls a function with nulls and returns the SQLSTATE, or null when it runs. */
function call(identity: ApiIdentity | ApiRole, routine: Routine): Promise<string | null> {
  const args = routine.arguments.map((type, index) =>
    `${routine.is_variadic && index === routine.arguments.length - 1 ? "variadic " : ""}null::${type}`
  ).join(", ");
  const statement = `select ${routine.schema}.${routine.name}(${args})`;
  return sqlstateOf(asRole(sql, identity, (tx) => tx.unsafe(statement)));
}

function isAllowed(routine: Routine, role: "anon" | "authenticated"): boolean {
  if (routine.schema === "public") return role === "authenticated" && staffCommands.includes(routine.name);
  if (routine.schema === "reporting") return role === "authenticated";
  const names = role === "anon" ? privateForAnonymous : privateForAuthenticated;
  return routine.schema === "private" && names.includes(routine.name);
}

Deno.test("every function sets its search path", () => {
  const without = all.filter((routine) =>
    !(routine.config ?? []).some((entry) => entry.startsWith("search_path="))
  );
  assert.deepEqual(without.map((routine) => routine.signature), []);
});

Deno.test("only doors run with their owner's rights: the API of the secret key, and what privateDoors names", () => {
  const definers = all.filter((routine) => routine.definer);
  const api = all.filter((routine) => routine.schema === "public" && !staffCommands.includes(routine.name));
  assert.deepEqual(
    definers.map(({ schema, name }) => `${schema}.${name}`).sort(),
    [...api.map(({ name }) => `public.${name}`), ...privateDoors.map((name) => `private.${name}`)].sort(),
  );
});

Deno.test("no security definer function in public can be executed by an API caller (splinter 0028, 0029)", async () => {
  for (const routine of nonEmpty(all.filter((routine) => routine.schema === "public" && routine.definer))) {
    assert.equal(await mayExecute("anon", routine), false, routine.signature);
    assert.equal(await mayExecute("authenticated", routine), false, routine.signature);
  }
});

Deno.test("anonymous and signed-in callers may execute the staff commands, and nothing else", async () => {
  for (const routine of all) {
    for (const role of ["anon", "authenticated"] as const) {
      assert.equal(await mayExecute(role, routine), isAllowed(routine, role), `${role} ${routine.signature}`);
    }
  }
});

Deno.test("calling any other function is refused, function by function", async () => {
  for (const routine of nonEmpty(all.filter((routine) => !routine.is_trigger))) {
    for (
      const [role, identity] of [["anon", "anon"], ["authenticated", shopper], [
        "authenticated",
        admin("aal2"),
      ]] as const
    ) {
      if (!isAllowed(routine, role)) assert.equal(await call(identity, routine), "42501", routine.signature);
    }
  }
});

Deno.test("the service role may execute every function of the API", async () => {
  for (
    const routine of nonEmpty(all.filter((routine) => routine.schema === "public" && !routine.is_trigger))
  ) {
    assert.equal(await mayExecute("service_role", routine), true, routine.signature);
  }
});

Deno.test("staff commands are refused to anonymous callers, customers and staff without a required second factor", async () => {
  const commands = all.filter((routine) =>
    routine.schema === "public" && staffCommands.includes(routine.name)
  );
  assert.equal(commands.length, staffCommands.length);
  for (const command of commands) {
    assert.equal(command.definer, false, `${command.name} runs with the caller's rights`);
    assert.equal(await call("anon", command), "42501", command.name);
    assert.equal(await call(shopper, command), "42501", command.name);
    await sql`update private.settings set value = 'true' where key = 'admin_require_mfa'`;
    assert.equal(await call(admin("aal1"), command), "42501", command.name);
    const strong = await call(admin("aal2"), command);
    await sql`update private.settings set value = 'false' where key = 'admin_require_mfa'`;
    assert.notEqual(strong, "42501", `${command.name} at aal2`);
    assert.notEqual(await call(admin(), command), "42501", command.name);
  }
});

Deno.test("a new function is nobody's until it is granted", async () => {
  for (const schema of ["public", "private"]) {
    await sql.unsafe(
      `create function ${schema}.brand_new() returns int language sql set search_path = '' as 'select 1'`,
    );
    try {
      const fresh = (await routines(sql)).find((routine) => routine.name === "brand_new");
      assert(fresh !== undefined);
      for (const role of ["anon", "authenticated", "service_role"] as const) {
        assert.equal(await mayExecute(role, fresh), false, `${role} ${fresh.signature}`);
      }
    } finally {
      await sql.unsafe(`drop function ${schema}.brand_new()`);
    }
  }
});
