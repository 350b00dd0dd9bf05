/** What the checks look at, and how they answer. */
import type postgres from "postgres";
import type { runCommand } from "../../lib/command.ts";
import type { Subject } from "../doctor/subject.ts";
import type { Finding as DoctorFinding } from "../doctor/finding.ts";
import type { ShopRecord } from "./controls.ts";
import type { Examined, Finding } from "./evidence.ts";

/** What there is to look at. */
export interface Scene {
  /** The checkout. */
  root: string;
  kind: "local" | "project";
  /** The complete environment, or what stands in the way of it. */
  subject: Subject | DoctorFinding[];
  /** A session that can only read; null: why there is none. */
  sql: postgres.Sql | null;
  /** Folder of logs; null where none is given. */
  logs: string | null;
  records: ShopRecord[];
  now: Date;
  /** What reaches out; tests give their own. */
  fetch: typeof fetch;
  run: typeof runCommand;
}

/** What a check has to say. It failed with findings; without any, it is not examined where something was left out. */
export interface CheckResult {
  examined: Examined[];
  facts: string[];
  findings: Finding[];
  notExamined: string[];
}

/** Looks at one thing. A check that throws counts as failed. */
export type Check = (scene: Scene) => Promise<CheckResult>;

/** A result without anything in it yet. */
export function emptyResult(): CheckResult {
  return { examined: [], facts: [], findings: [], notExamined: [] };
}

/** A result that says only why nothing was looked at. */
export function notExamined(reason: string): CheckResult {
  return { ...emptyResult(), notExamined: [reason] };
}

/** Why there is no database to look at. */
export const noDatabase = notExamined(
  "the database: set SUPABASE_DB_URL to the session pooler's connection string",
);

/** Whole days from one moment to another. */
export function daysBetween(from: Date, to: Date): number {
  return Math.floor((to.getTime() - from.getTime()) / 86_400_000);
}
