/** Is the shop working? Anyone may ask for the status; figures need the secret key, or the token of the monitor. */
import { type AuthEnv, bearsToken, keyKind } from "../_shared/auth/caller.ts";
import type { Env } from "../_shared/env.ts";
import { json, respond } from "../_shared/http/endpoint.ts";
import type { Logger } from "../_shared/log.ts";
import type { HealthCalls, HealthFigures, MetricFamily } from "../_shared/database/health.ts";
import { contentType, openMetrics } from "./openmetrics.ts";

export interface Deps {
  env: AuthEnv & Pick<Env, "allowedOrigins" | "metricsTokens">;
  rpc: HealthCalls;
  /** The same figures for those who see none of them: one reading for all who ask meanwhile. */
  publicHealth: HealthCalls["getHealth"];
  log: Logger;
  /** Milliseconds of a clock that only goes forward. */
  elapsed(): number;
}

/** Whoever watches the shop polls it, and so may everybody: what anybody may see need not be read for each of them. */
const publicCache = "public, max-age=5";

type Status = "ok" | "degraded" | "down";
type Checks = HealthFigures["checks"];

/** Answers `GET` and `HEAD`: 200 while orders can be taken and jobs are worked on, 503 when not. */
export function handle(request: Request, deps: Deps): Promise<Response> {
  const endpoint = { methods: ["GET"] as const, allowedOrigins: deps.env.allowedOrigins, log: deps.log };
  return respond(request, endpoint, async ({ log }) => {
    const mayRead = await mayReadFigures(request, deps.env);
    const forMonitor = new URL(request.url).searchParams.get("format") === "openmetrics";
    const [checks, families] = await Promise.all([
      readChecks(mayRead ? deps.rpc.getHealth : deps.publicHealth, deps, log),
      forMonitor && mayRead ? readFamilies(deps, log) : [],
    ]);
    const shown = mayRead ? checks : withoutFigures(checks);
    const status = overall(checks);
    const answer = forMonitor
      // Always 200: of any other answer a monitor reads nothing, and shop_up says it.
      ? new Response(openMetrics(status !== "down", shown, families), {
        headers: { "content-type": contentType },
      })
      : json({ status, checks: shown }, status === "down" ? 503 : 200);
    answer.headers.set("vary", "apikey, authorization");
    answer.headers.set("cache-control", mayRead ? "no-store" : publicCache);
    return answer;
  });
}

async function mayReadFigures(request: Request, env: Deps["env"]): Promise<boolean> {
  return await bearsToken(request, env.metricsTokens) || await keyKind(request, env) === "secret";
}

async function readFamilies({ rpc }: Deps, log: Logger): Promise<MetricFamily[]> {
  try {
    return await rpc.getMetrics();
  } catch (error) {
    log.error("metrics_not_read", { error });
    return [];
  }
}

/** Answers everybody who comes while `ask` is under way with what it brings: a crowd costs as much as one. */
export function shared<T>(ask: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | null = null;
  return () =>
    underWay ??= ask().finally(() => {
      underWay = null;
    });
}

async function readChecks(
  getHealth: HealthCalls["getHealth"],
  { elapsed }: Deps,
  log: Logger,
): Promise<Checks> {
  const startedAt = elapsed();
  try {
    const { checks } = await getHealth();
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
