import type postgres from "postgres";
import type { LocalKeys } from "../keys.ts";
import type { SendMail } from "./mails.ts";

/** What every endpoint of the offline Auth works with. */
export interface Context {
  sql: postgres.Sql;
  keys: LocalKeys;
  settings: AuthSettings;
  sendMail: SendMail;
}

/** The project's Auth settings, as far as the offline Auth has them. */
export interface AuthSettings {
  /** Whether an address counts only after its mail was opened: `enable_confirmations` of supabase/config.toml. */
  confirmations: boolean;
  /** Where Auth answers, for the links in mails. */
  url: () => string;
  /** Where a link leads that names no page of the shop. */
  siteUrl: string;
  /** Origins that a link may lead to. */
  redirectOrigins: readonly string[];
}
