/**
 * `deno task doctor [--env .env] [--alert] [--json]`: looks at a running stack or a project and names each cause with its fix.
 * Changes nothing; exit code 1 when there is an error.
 */
import { checkAlerts } from "./doctor/alerts.ts";
import { checkAllowlist } from "./doctor/allowlist.ts";
import { checkAuth } from "./doctor/auth.ts";
import { checkBackups } from "./doctor/backups.ts";
import { checkCatalogue } from "./doctor/catalogue.ts";
import { checkDatabase } from "./doctor/database.ts";
import { checkDependencies } from "./doctor/dependencies.ts";
import { checkDeployedSecrets } from "./doctor/deployed_secrets.ts";
import { checkEnvironment, checkWhitespace } from "./doctor/environment.ts";
import { checkExposedSchemas } from "./doctor/exposed_schemas.ts";
import type { Finding } from "./doctor/finding.ts";
import { checkFunctions } from "./doctor/functions.ts";
import { checkHealth } from "./doctor/health.ts";
import { checkMail } from "./doctor/mail.ts";
import { checkPermissions } from "./doctor/permissions.ts";
import { checkShipping } from "./doctor/shipping.ts";
import { checkStripe } from "./doctor/stripe.ts";
import { findSource, openSubject, type Source } from "./doctor/subject.ts";
import { checkTerms } from "./doctor/terms.ts";
import { checkWebhookSecrets } from "./doctor/webhook_secrets.ts";
import { masked } from "./setup/project.ts";
import { runTask } from "../lib/task.ts";

const usage = `deno task doctor [--env .env] [--alert] [--json]

  --alert     send a test message to ALERT_WEBHOOK_URL
  --json      one JSON array of { level, name, what, fix } instead of lines, for CI; docs/doctor.md has the names
  --env       look at the project of this file; else at the stack that runs in LOCAL_DIR, the project of the
              environment, or the project of .env`;

// The second is the same where Deno runs by itself; started with npx, Node 20 takes this name for its own.
const flags = {
  env: { type: "string" },
  "env-file": { type: "string" },
  alert: { type: "boolean" },
  json: { type: "boolean" },
} as const;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      run: ({ values }) =>
        main(values.env ?? values["env-file"] ?? null, values.alert === true, values.json === true),
    }, Deno.args),
  );
}

async function main(envFile: string | null, sendAlert: boolean, json: boolean): Promise<number> {
  const source = await findSource(envFile, Deno.env.toObject());
  if (!json) console.log(`Looking at ${source.name}`);
  const findings = await diagnose(source, sendAlert);
  if (json) {
    console.log(masked(JSON.stringify(findings, null, 2), source.values));
    return findings.some(({ level }) => level === "error") ? 1 : 0;
  }
  for (const finding of findings) console.log(masked(formatFinding(finding), source.values));
  const count = (level: Finding["level"]) => findings.filter((finding) => finding.level === level).length;
  console.log(`${count("ok")} ok, ${count("warning")} warnings, ${count("error")} errors`);
  return count("error") > 0 ? 1 : 0;
}

/** Runs every check; with an incomplete environment only those that can do without. */
export async function diagnose(source: Source, sendAlert = false): Promise<Finding[]> {
  const whitespace = checkWhitespace(source);
  const subject = openSubject(source);
  if (Array.isArray(subject)) return [...subject, ...whitespace];
  const rest = await Promise.all([
    checkDatabase(subject),
    checkCatalogue(subject),
    checkBackups(subject),
    checkAuth(subject),
    checkExposedSchemas(subject),
    checkFunctions(subject),
    checkHealth(subject),
    checkStripe(subject),
    checkPermissions(subject),
    checkWebhookSecrets(subject),
    checkTerms(subject),
    checkAllowlist(subject),
    checkDeployedSecrets(subject),
    checkShipping(subject),
    checkAlerts(subject, sendAlert),
    checkMail(subject),
    checkDependencies(subject),
  ]);
  return [...checkEnvironment(subject), ...whitespace, ...rest.flat()];
}

function formatFinding({ level, what, fix }: Finding): string {
  return `${level.padEnd(7)}  ${what}${fix === "" ? "" : `  →  ${fix}`}`;
}
