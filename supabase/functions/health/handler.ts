/** Is the shop working? Anyone may ask for the status; figures need the secret key. */
import { type AuthEnv, keyKind } from "../_shared/auth/caller.ts";
import type { Env } from "../_shared/env.ts";
import { json, respond } from "../_shared/http/endpoint.ts";
import type { Logger } from "../_shared/log.ts";
import type { HealthCalls, HealthFigures } from "../_shared/database/health.ts";

export interface Deps {
  env: AuthEnv & Pick<Env, "allowedOrigins">;
  rpc: HealthCalls;
  log: Logger;
  /** Milliseconds of a clock that only goes forward. */
  elapsed(): number;
}

/** Whoever watches the shop polls it, and so may everybody: what anybody may see is read once for all of them. */
const publicCache = "public, max-age=5";

type Status = "ok" | "degraded" | "down";
type Checks = HealthFigures["checks"];

/** Answers `GET` and `HEAD`: 200 while orders can be taken and jobs are worked on, 503 when not. */
export function handle(request: Request, deps: Deps): Promise<Response> {
  const endpoint = { methods: ["GET"] as const, allowedOrigins: deps.env.allowedOrigins, log: deps.log };
  return respond(request, endpoint, async ({ log }) => {
    const [kind, checks] = await Promise.all([keyKind(request, deps.env), readChecks(deps, log)]);
    const shown = kind === "secret" ? checks : withoutFigures(checks);
    const status = overall(checks);
    const code = status === "down" ? 503 : 200;
    const answer = new URL(request.url).searchParams.get("format") === "openmetrics"
      ? openMetrics(status, shown, code)
      : json({ status, checks: shown }, code);
    answer.headers.set("vary", "apikey");
    answer.headers.set("cache-control", kind === "secret" ? "no-store" : publicCache);
    return answer;
  });
}

async function readChecks({ rpc, elapsed }: Deps, log: Logger): Promise<Checks> {
  const startedAt = elapsed();
  try {
    const { checks } = await rpc.getHealth();
    return { ...checks, database: { ...checks["database"], latency_ms: Math.round(elapsed() - startedAt) } };
  } catch (error) {
    log.error("health_not_read", { error });
    return { database: { status: "down" } };
  }
}

function withoutFigures(checks: Checks): Checks {
  return Object.fromEntries(
    Object.entries(checks).map(([name, check]) => [name, { status: statusOf(check) }]),
  );
}

function statusOf(check: Record<string, unknown>): Status {
  return check["status"] === "ok" || check["status"] === "degraded" ? check["status"] : "down";
}

/** The worst of all checks. */
function overall(checks: Checks): Status {
  const statuses = Object.values(checks).map(statusOf);
  return (["down", "degraded"] as const).find((status) => statuses.includes(status)) ?? "ok";
}

/** https://prometheus.io/docs/specs/om/open_metrics_spec/ */
function openMetrics(status: Status, checks: Checks, code: number): Response {
  const lines = [
    "# TYPE shop_up gauge",
    "# HELP shop_up 1 while orders can be taken.",
    `shop_up ${status === "down" ? 0 : 1}`,
    "# TYPE shop_check_ok gauge",
    "# HELP shop_check_ok 1 when the check is ok, 0 when it is degraded or down.",
    ...Object.entries(checks).map(([name, check]) =>
      `shop_check_ok{check="${name}"} ${Number(statusOf(check) === "ok")}`
    ),
    ...Object.entries(checks).flatMap(([name, check]) => figures(name, check)),
    "# EOF",
    "",
  ];
  return new Response(lines.join("\n"), {
    status: code,
    headers: { "content-type": "application/openmetrics-text; version=1.0.0; charset=utf-8" },
  });
}

function figures(name: string, check: Record<string, unknown>): string[] {
  return Object.entries(check).flatMap(([figure, value]) => {
    const number = typeof value === "number"
      ? value
      : figure.endsWith("_at")
      ? Date.parse(String(value)) / 1000
      : NaN;
    const metric = figure.endsWith("_at") ? `shop_${name}_${figure}_seconds` : `shop_${name}_${figure}`;
    return Number.isFinite(number) ? [`# TYPE ${metric} gauge`, `${metric} ${number}`] : [];
  });
}
