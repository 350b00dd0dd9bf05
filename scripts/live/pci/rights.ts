/** Who may do what in the database, held against what the repository says. */
import { join } from "node:path";
import { describeParts, SNAPSHOT_PARTS } from "../../lib/schema_description.ts";
import { type Check, emptyResult, noDatabase, sha256 } from "./check.ts";

const expectedFile = "tests/schema.sql";

/** Row level security, policies, grants, functions with their owner's rights and views with the caller's. */
export const rights: Check = async ({ root, sql }) => {
  if (sql === null) return noDatabase;
  const result = emptyResult();
  const expected = new Set(accessRules(await Deno.readTextFile(join(root, expectedFile))));
  const found = new Set(accessRules((await describeParts(sql, SNAPSHOT_PARTS)).join("\n")));
  for (const rule of expected) {
    if (!found.has(rule)) result.findings.push({ where: placeOf(rule), what: `the database lacks: ${rule}` });
  }
  for (const rule of found) {
    if (!expected.has(rule)) {
      result.findings.push({ where: placeOf(rule), what: `${expectedFile} does not know: ${rule}` });
    }
  }
  result.examined.push({
    what: "rules of access in schemas public, private and reporting",
    items: found.size,
    sha256: await sha256([...found].sort().join("\n")),
    moves: false,
  });
  return result;
};

/** Objects of the project; what the platform grants its own roles is not ours to judge. */
const ours = /\b(?:public|private|reporting)\.|\bon schema (?:private|reporting)\b/;
const platformRole = /\bto (?:supabase_\w+|dashboard_user|pgbouncer|authenticator);?$/;

/** The statements about access in a description of a database, one line each. */
function accessRules(description: string): string[] {
  return description.split(";\n").flatMap((statement) => {
    const text = statement.trim().replace(/\s+/g, " ");
    const grant = /^grant (.+?) (on .*)$/.exec(text);
    if (grant !== null) {
      const [, privileges = "", rest = ""] = grant;
      return privileges.split(", ").map((privilege) => `grant ${privilege} ${rest}`);
    }
    if (/^(?:policy|row level security|NO row level security) /.test(text)) return [text];
    if (/^create or replace (?:function|procedure) .*security definer/i.test(text)) {
      return [
        `security definer: ${
          text.replace(/^create or replace (\w+) (.*?) (?:returns|language) .*$/i, "$1 $2")
        }`,
      ];
    }
    return /^(?:materialized )?view /.test(text) ? [text.replace(/ \( .*$/, "")] : [];
  }).filter((rule) => ours.test(rule) && !platformRole.test(rule));
}

function placeOf(rule: string): string {
  return /\b(?:public|private|reporting)\.\w+/.exec(rule)?.[0] ?? rule;
}
