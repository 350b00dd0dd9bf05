import type { HealthFigures } from "../../../supabase/functions/_shared/database/health.ts";
import { secretKeyOf } from "../setup/project.ts";
import { error, type Finding, ok, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

const timeoutMs = 15_000;
/** On Supabase the schedule calls once a minute, offline every two seconds. */
const heartbeatLimitMs = 5 * 60_000;
const queueAgeLimitSeconds = 15 * 60;

type Check = Record<string, unknown>;

/** The functions themselves, and the figures of the health endpoint. */
export async function checkHealth(subject: Subject): Promise<Finding[]> {
  const { env, kind } = subject;
  const deploy = kind === "local" ? "look at the gateway's log in $LOCAL_DIR/logs" : "run 'deno task setup'";
  let response: Response;
  try {
    response = await fetch(`${env.supabaseUrl}/functions/v1/health`, {
      headers: { apikey: secretKeyOf(env) },
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch {
    return [error("health_down", "the function health does not answer", deploy)];
  }
  const body = await response.json().catch(() => null) as { checks?: HealthFigures["checks"] } | null;
  if (!response.headers.has("x-request-id") || body?.checks === undefined) {
    return response.status === 404 ? [error("health_down", "the function health is not deployed", deploy)] : [
      error(
        "health_down",
        `the function health does not start (${response.status})`,
        "its log names the variable that is missing or malformed; 'deno task setup' sets them",
      ),
    ];
  }
  const { checks } = body;
  if (checks["database"]?.["status"] !== "ok") {
    return [
      error(
        "database_unreachable",
        "the functions do not reach the database",
        "look at the project's status in the dashboard",
      ),
    ];
  }
  return [
    ok("functions answer and reach the database"),
    ...judgeJobs(checks["jobs"] ?? {}, kind, Date.now()),
    ...judgeWebhooks(checks["webhooks"] ?? {}),
    ...judgeRest(checks),
    ...judgeStaff(checks["staff"] ?? {}, env.adminRequireMfa),
  ];
}

/** The second factor that the database asks of staff, beside what the environment says. */
export function judgeStaff(staff: Check, wanted: boolean): Finding[] {
  const required = staff["second_factor"] === true;
  if (required === wanted) return [ok(`staff need ${required ? "a" : "no"} second factor`)];
  return [
    required
      ? warning(
        "mfa_disagrees",
        "staff need a second factor although ADMIN_REQUIRE_MFA is not true, which alone never lowers it",
        "set it to true, or run in the SQL editor: update private.settings set value = 'false' where key = 'admin_require_mfa'",
      )
      : warning(
        "mfa_disagrees",
        "staff get in without a second factor although ADMIN_REQUIRE_MFA is true",
        "run 'deno task setup'; the next call of retry-jobs turns it on",
      ),
  ];
}

/** The heartbeat of retry-jobs, and the queue that it works off. */
export function judgeJobs(jobs: Check, kind: Subject["kind"], nowMs: number): Finding[] {
  const findings: Finding[] = [];
  const callsMend = kind === "local"
    ? "the stack calls it every two seconds: wait a moment, or look at $LOCAL_DIR/logs"
    : "run 'deno task setup', which schedules it; then look at cron.job_run_details and net._http_response";
  const lastMs = Date.parse(String(jobs["last_run_at"]));
  if (Number.isNaN(lastMs)) findings.push(error("scheduler_never", "retry-jobs has never run", callsMend));
  else if (nowMs - lastMs > heartbeatLimitMs) {
    findings.push(
      error(
        "scheduler_silent",
        `retry-jobs has not run for ${Math.round((nowMs - lastMs) / 60_000)} minutes`,
        callsMend,
      ),
    );
  }
  const dead = figure(jobs, "dead"), age = figure(jobs, "oldest_due_seconds");
  if (dead > 0) findings.push(error("jobs_dead", `${dead} dead jobs`, redrive));
  if (age > queueAgeLimitSeconds) {
    findings.push(
      error("jobs_late", `the oldest job has been due for ${Math.round(age / 60)} minutes`, callsMend),
    );
  }
  return findings.length > 0 ? findings : [ok(`retry-jobs runs; ${figure(jobs, "due")} jobs due, none dead`)];
}

const redrive =
  "fix the cause (last_error), then 'deno task redrive --all --dry-run' and 'deno task redrive --all'";

/** Events that could not be applied, and deliveries that do not come, as the running shop sees them. */
export function judgeWebhooks(webhooks: Check): Finding[] {
  const findings: Finding[] = [];
  const dead = figure(webhooks, "dead"), failed = figure(webhooks, "failed");
  if (dead > 0) findings.push(error("events_dead", `${dead} dead webhook events`, redrive));
  else if (failed > 0) {
    findings.push(
      warning(
        "events_failed",
        `${failed} webhook events wait for another try`,
        "see last_error in webhook_events",
      ),
    );
  }
  const problems = webhooks["problems"];
  if (Array.isArray(problems) && problems.includes("webhook_silence")) {
    const last = webhooks["last_delivered_at"];
    findings.push(
      error(
        "deliveries_silent",
        `money moves and Stripe delivers nothing (last delivery: ${
          typeof last === "string" ? last : "never"
        })`,
        "see webhook_rejections, and the endpoint's event deliveries in Stripe's dashboard",
      ),
    );
  }
  for (const problem of ["webhook_endpoint_disabled", "webhook_endpoint_changed"]) {
    if (Array.isArray(problems) && problems.includes(problem)) {
      findings.push(
        warning(
          "endpoint_alert_open",
          `the alert ${problem} is open`,
          "run 'deno task setup'; it closes within five minutes",
        ),
      );
    }
  }
  if (webhooks["endpoint"] === "not_permitted") {
    findings.push(
      warning(
        "endpoint_key_blind",
        "the shop's key may not read webhook endpoints: a disabled one shows only once money moves",
        "give it that permission in Stripe's dashboard (Developers, API keys)",
      ),
    );
  }
  return findings.length > 0 ? findings : [ok("every webhook event is applied")];
}

function judgeRest(checks: Record<string, Check>): Finding[] {
  const findings: Finding[] = [];
  const degraded = (name: string) =>
    checks[name]?.["status"] !== undefined && checks[name]?.["status"] !== "ok";
  if (degraded("schedule")) {
    findings.push(
      error(
        "scheduler_fails",
        "pg_cron's calls of retry-jobs fail",
        "run 'deno task setup': address or key in Vault is not the project's",
      ),
    );
  }
  if (degraded("providers")) {
    findings.push(
      warning(
        "provider_down",
        "a provider (Stripe or mail) is taken for down",
        "see its status page; calls resume by themselves",
      ),
    );
  }
  const drift = figure(checks["reconciliation"] ?? {}, "drift_last_hour");
  if (drift > 0) {
    findings.push(
      warning(
        "reconciliation_repairs",
        `reconciliation had to fetch or repair ${drift} things within the last hour`,
        "select * from reporting.reconciliation_drift; as a rule deliveries fail",
      ),
    );
  } else if (degraded("reconciliation")) {
    findings.push(
      warning(
        "reconciliation_late",
        "Stripe's events have not been compared for hours",
        "run 'deno task reconcile'",
      ),
    );
  }
  const critical = figure(checks["alerts"] ?? {}, "critical");
  if (critical > 0) {
    findings.push(
      warning(
        "alerts_critical",
        `${critical} critical alerts are open`,
        "select * from alerts where status = 'open'",
      ),
    );
  }
  return findings.length > 0 ? findings : [ok("schedule, providers and reconciliation")];
}

function figure(check: Check, name: string): number {
  const value = Number(check[name] ?? 0);
  return Number.isFinite(value) ? value : 0;
}
