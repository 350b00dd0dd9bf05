import { secretKeyOf } from "../setup/project.ts";
import { error, type Finding, ok } from "./finding.ts";
import type { Subject } from "./subject.ts";

const timeoutMs = 15_000;
const shownLimit = 5;

/** The API with the secret key, the functions of the migrations, and what must always be true. */
export async function checkDatabase({ env, kind }: Subject): Promise<Finding[]> {
  const start = kind === "local"
    ? "start it with 'deno task dev'"
    : "compare SUPABASE_URL with the dashboard";
  let response: Response;
  try {
    response = await fetch(`${env.supabaseUrl}/rest/v1/rpc/check_invariants`, {
      method: "POST",
      headers: { apikey: secretKeyOf(env), "content-type": "application/json" },
      body: "{}",
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch {
    return [error("api_down", `the API does not answer at ${env.supabaseUrl}`, start)];
  }
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok && Array.isArray(answer)) {
    return [
      ok(`API reachable with the secret key (${env.supabaseUrl})`),
      ok("database functions are there"),
      ...broken(answer),
    ];
  }
  return [refusal(response.status, codeOf(answer), kind)];
}

function refusal(status: number, code: string, kind: Subject["kind"]): Finding {
  if (code === "42501" || status === 403) {
    return error(
      "secret_key_publishable",
      "the API knows the key, but it is no secret key",
      'set SUPABASE_SECRET_KEYS to {"default":"sb_secret_…"}, not to a publishable key',
    );
  }
  if (status === 401) {
    return error(
      "secret_key_refused",
      "the API refuses the secret key",
      "copy it from the dashboard (Project Settings, API Keys) to SUPABASE_SECRET_KEYS",
    );
  }
  if (status === 404 || code === "PGRST202") {
    const command = kind === "local" ? "deno task dev --fresh" : "deno task setup";
    return error(
      "migrations_missing",
      "the database lacks check_invariants(): migrations are missing",
      `run '${command}'`,
    );
  }
  return error(
    "database_fails",
    `check_invariants() answered ${status}${code === "" ? "" : ` ${code}`}`,
    "look at the project's status and the database's log in the dashboard",
  );
}

function codeOf(answer: unknown): string {
  const code = typeof answer === "object" && answer !== null && "code" in answer ? answer.code : "";
  return typeof code === "string" ? code : "";
}

function broken(rows: { invariant: string; detail: unknown }[]): Finding[] {
  if (rows.length === 0) return [ok("check_invariants() finds nothing broken")];
  const findings = rows.slice(0, shownLimit).map(({ invariant, detail }) =>
    error(
      "invariant_broken",
      `invariant broken: ${invariant} ${JSON.stringify(detail)}`,
      "docs/operations.md, Doctor; stop fulfilling what it names until the cause is known",
    )
  );
  const more = rows.length - findings.length;
  return more === 0 ? findings : [
    ...findings,
    error("invariant_broken", `${more} more`, "select * from check_invariants() lists them all"),
  ];
}
