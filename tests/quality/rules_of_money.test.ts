/** A rule of money has one name and one place: nobody writes its condition a second time. */
import assert from "node:assert/strict";
import { SUPABASE_DIR } from "../../scripts/lib/paths.ts";
import { schemaPaths } from "../../scripts/lib/schemas.ts";

const RULES = "schemas/payments/rules.sql";
/** Merging facts speaks of statuses as Stripe tells them, before there is a row. */
const MERGES = "schemas/facts/facts_after_payment.sql";

const rules: [string, RegExp, string[]][] = [
  ["a settled session", /'paid', 'no_payment_required'/, [RULES]],
  ["a settled payment, a refund that is made", /\b(?!f\.)\w+\.status (?:=|<>|is distinct from) 'succeeded'/, [
    RULES,
  ]],
  ["a refund that has bounced", /'failed', 'canceled'/, [RULES, MERGES]],
  ["a dispute that awaits evidence", /'warning_needs_response', 'appeal_needs_response'/, [RULES]],
  ["a dispute that holds the goods", /'won', 'warning_closed', 'prevented'/, [RULES]],
  ["an order's lock", /from public\.orders (?:\w )?where (?:\w\.)?id = \w+ for no key update/, [
    // Facts may name orders that do not exist.
    "schemas/facts/apply_facts.sql",
    "schemas/orders/orders.sql",
  ]],
];

const sources = new Map<string, string>();
for (const path of await schemaPaths(SUPABASE_DIR)) {
  sources.set(
    path,
    (await Deno.readTextFile(`${SUPABASE_DIR}/${path}`)).replaceAll(/--.*$/gm, "").replaceAll(/\s+/g, " "),
  );
}

for (const [rule, condition, places] of rules) {
  Deno.test(`the rule for ${rule} stands in ${places.join(" and ")} only`, () => {
    const found = [...sources].filter(([, text]) => condition.test(text)).map(([path]) => path);
    assert.deepEqual(found.sort(), [...places].sort());
  });
}
