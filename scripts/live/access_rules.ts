/** Who may do what in a database, held against what this checkout's migrations declare. */
import { join } from "node:path";
import type postgres from "postgres";
import { describeParts, SNAPSHOT_PARTS } from "../lib/schema_description.ts";

/** The description of the database that the migrations make, which the gate keeps true. */
export const expectedFile = "tests/schema.sql";

/** Rules of access as statements, one line each. */
export interface AccessRules {
  found: string[];
  /** Declared, and not in the database. */
  lacking: string[];
  /** In the database, and not declared. */
  surplus: string[];
}

/** Row level security, policies, grants, functions with their owner's rights and views with the caller's. */
export async function readAccessRules(sql: postgres.Sql, root: string): Promise<AccessRules> {
  const expected = new Set(rulesOf(await Deno.readTextFile(join(root, expectedFile))));
  const found = new Set(rulesOf((await describeParts(sql, SNAPSHOT_PARTS)).join("\n")));
  return {
    found: [...found],
    lacking: [...expected].filter((rule) => !found.has(rule)),
    surplus: [...found].filter((rule) => !expected.has(rule)),
  };
}

/** Objects of the project; what the platform grants its own roles is not ours to judge. */
const ours = /\b(?:public|private|reporting)\.|\bon schema (?:private|reporting)\b/;
const platformRole = /\bto (?:supabase_\w+|dashboard_user|pgbouncer|authenticator);?$/;

function rulesOf(description: string): string[] {
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
