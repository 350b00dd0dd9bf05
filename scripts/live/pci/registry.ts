/** Which check each name stands for. */
import { admins } from "./admins.ts";
import { alerts } from "./alerts.ts";
import { auditTrail } from "./audit_trail.ts";
import { cardNumbersInCode, secretsInCode } from "./card_numbers_code.ts";
import { cardNumbersInDatabase } from "./card_numbers_database.ts";
import { cardNumbersInLogs } from "./card_numbers_logs.ts";
import type { Check } from "./check.ts";
import type { CheckName } from "./checks.ts";
import { configuration } from "./configuration.ts";
import { dependencies } from "./dependencies.ts";
import { keyAges } from "./key_ages.ts";
import { passwordRules } from "./password_rules.ts";
import { paymentPage } from "./payment_page.ts";
import { platformMembers } from "./platform_members.ts";
import { retention } from "./retention.ts";
import { rights } from "./rights.ts";
import { site } from "./site.ts";

/** In the order in which they run. */
export const checks: Record<CheckName, Check> = {
  "configuration": configuration,
  "rights": rights,
  "admins": admins,
  "platform-members": platformMembers,
  "password-rules": passwordRules,
  "key-ages": keyAges,
  "retention": retention,
  "alerts": alerts,
  "audit-trail": auditTrail,
  "payment-page": paymentPage,
  "site": site,
  "dependencies": dependencies,
  "secrets-code": secretsInCode,
  "card-numbers-code": cardNumbersInCode,
  "card-numbers-logs": cardNumbersInLogs,
  "card-numbers-database": cardNumbersInDatabase,
};
