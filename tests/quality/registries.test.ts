/**
 * Names that stand in more than one place, held against each other in both directions: kinds of job, mail templates,
 * SQLSTATEs, kinds of alert, long tests.
 */
import assert from "node:assert/strict";
import { sqlStates } from "../../supabase/functions/_shared/errors.ts";
import { jobKinds } from "../../supabase/functions/_shared/jobs/mod.ts";
import { templateNames } from "../../supabase/functions/_shared/mails/mod.ts";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { LONG_FILES } from "../../scripts/quality/test/long.ts";
import { nonEmpty } from "../support/non_empty.ts";

const root = new URL("../../", import.meta.url);
const sql = await textOf(new URL("supabase/schemas/", root));
const functions = await textOf(new URL("supabase/functions/", root));

/** All files of a folder and its folders, in one text. */
async function textOf(folder: URL): Promise<string> {
  const texts: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    texts.push(
      isDirectory
        ? await textOf(new URL(`${name}/`, folder))
        : await Deno.readTextFile(new URL(name, folder)),
    );
  }
  return texts.join("\n");
}

/** What a pattern's first group catches, each once, sorted. */
function caught(text: string, pattern: RegExp): string[] {
  return sorted([...text.matchAll(pattern)].map(([, name]) => name ?? ""));
}

function sorted(names: Iterable<string>): string[] {
  return [...new Set(names)].sort();
}

/** First arguments of all calls of a SQL function, definitions aside. */
function firstArguments(name: string): { literals: string[]; expressions: string[] } {
  const calls = [...sql.matchAll(new RegExp(`(\\w+) (?:private\\.)?${name}\\(\\s*([^,]+),`, "g"))]
    .filter(([, before]) => before !== "function").map(([, , argument]) => argument ?? "");
  const literal = /^'([a-z_]+)'$/;
  return {
    literals: sorted(calls.flatMap((argument) => literal.exec(argument)?.[1] ?? [])),
    expressions: sorted(calls.filter((argument) => !literal.test(argument))),
  };
}

Deno.test("every kind of job has a line in private.job_kinds and a handler", async () => {
  await using database = await createTestDatabase();
  const kinds = await database.sql<{ kind: string }[]>`select kind from private.job_kinds`;
  assert.deepEqual(sorted(jobKinds), sorted(kinds.map(({ kind }) => kind)));
});

Deno.test("every kind of job is queued by somebody, and nothing else is", async () => {
  await using database = await createTestDatabase();
  const periodic = await database.sql<{ kind: string }[]>`select kind from private.periodic_jobs`;
  const { literals, expressions } = firstArguments("enqueue_job");
  // What is queued under a name that is put together: by the clock, and to read an object again.
  assert.deepEqual(expressions, ["'refresh_' || v_object", "r.kind"]);
  const read = jobKinds.filter((kind) => kind.startsWith("refresh_") && kind !== "refresh_webhook_addresses");
  const unread = caught(functions, /\bobject: "(checkout_session|payment|charge)"/g);
  // What a thin event names.
  const thin = caught(
    await Deno.readTextFile(new URL("supabase/functions/_shared/stripe_events/thin.ts", root)),
    /^ {2}"[a-z_.]+": "([a-z_]+)",$/gm,
  );
  const objects = new Set(["dispute", "refund", "review", ...unread, ...thin]);
  assert.deepEqual(sorted(read), sorted([...objects].map((object) => `refresh_${object}`)));
  const queued = [...literals, ...periodic.map(({ kind }) => kind), ...read];
  assert.deepEqual(sorted(queued), sorted(jobKinds));
});

Deno.test("every mail that is queued has a template, and every template is queued", () => {
  const calls = caught(sql, /queue_notification\(\s*[^,()]+,\s*'([a-z_]+)'/g);
  // What queue_recovery_mails() goes through.
  const due = caught(sql, /select o\.id, '(payment_[a-z]+)', /g);
  assert.deepEqual(sorted([...calls, ...due]), sorted(templateNames));
});

Deno.test("SQL lists every mail template, and no other", async () => {
  await using database = await createTestDatabase();
  const [row] = await database.sql<{ names: string[] }[]>`select private.mail_templates() as names`;
  assert.deepEqual(row?.names, sorted(templateNames));
});

Deno.test("what SQL says of a mail template names one that exists", () => {
  const named = caught(sql, /\btemplate(?: =| in|\s*->>[^=]*=) \(?'([a-z_]+)'/g);
  assert(named.includes("order_shipped"));
  assert.deepEqual(named.filter((name) => !templateNames.includes(name)), []);
});

Deno.test("every SQLSTATE of ours that is raised is mapped, and every one that is mapped is raised", () => {
  // One that SQL catches itself reaches nobody.
  const kept = caught(sql, /exception when sqlstate '(\w{5})'/g);
  const raised = caught(sql, /errcode = '(\w{5})'/g).filter((state) => !kept.includes(state));
  // 42501 is Postgres's own refusal: who may not is told so as by a missing grant.
  assert.deepEqual(raised.filter((state) => state !== "42501"), sorted(Object.keys(sqlStates)));
});

Deno.test("our SQLSTATEs are of one class, which neither Postgres nor PostgREST uses", () => {
  const classes = sorted(caught(sql, /errcode = '([A-Z]\w{4})'/g).map((state) => state.slice(0, 2)));
  assert.deepEqual(classes, ["SH"]);
});

/** Kinds of alert that are raised by an expression, under the expression. */
const raisedByExpression: Record<string, string[]> = {
  // raise_alert_once() hands on what it was given.
  "p_kind": [],
  // Of the webhook function, as `raise()` there names them.
  "a.kind": caught(functions, /\braise\("([a-z_]+)"/g),
  // tell_finding() raises those of private.alert_rules, watch_deliveries() those of delivery_problems().
  "r.kind": [
    ...caught(sql, /^\s+\('([a-z_]+)', [\d.]+, '(?:share|times|count|seconds)', /gm),
    "reconciliation_drift",
    "webhook_endpoint_changed",
    "webhook_endpoint_disabled",
    "webhook_silence",
  ],
  // tell_of_refund()
  "v_kind": ["refund_delayed", "refund_overtaken", "refund_refused"],
  // settle_fraud_effects()
  "v_signal.kind": ["early_fraud_warning", "review"],
  // raise_velocity_alerts()
  "v_alert.kind": ["payment_outage", "stock_held", "velocity"],
};

Deno.test("docs/runbook.md has an entry for every alert that is raised, and for no other", async () => {
  const page = await Deno.readTextFile(new URL("docs/runbook.md", root));
  const once = firstArguments("raise_alert_once"), again = firstArguments("raise_alert");
  const expressions = sorted([...once.expressions, ...again.expressions]);
  assert.deepEqual(expressions, sorted(Object.keys(raisedByExpression)));
  const raised = sorted([
    ...once.literals,
    ...again.literals,
    ...Object.values(raisedByExpression).flat(),
  ]);
  const entries = [...page.matchAll(/^### ([a-z_]+)\n([\s\S]*?)(?=^##|$(?![\s\S]))/gm)];
  assert.deepEqual(sorted(entries.map(([, kind = ""]) => kind)), raised);
  for (const [, kind, text = ""] of nonEmpty(entries)) {
    const parts = caught(text, /^- \*\*([A-Z][a-z ]+)\.\*\* \S/gm);
    assert.deepEqual(parts, ["Do", "Done already", "Over when", "What happened"], kind);
  }
  for (const kind of raised) assert(new RegExp(`['"]${kind}['"]`).test(sql + functions), kind);
});

Deno.test("docs/settlement.md says when each mail is sent", async () => {
  const page = await Deno.readTextFile(new URL("docs/settlement.md", root));
  assert.deepEqual(templateNames.filter((name) => !page.includes(`\`${name}\``)), []);
});

Deno.test("the files of tests that are too long for every day exist", async () => {
  for (const path of nonEmpty([...LONG_FILES])) {
    assert((await Deno.stat(new URL(path, root))).isFile, path);
  }
});
