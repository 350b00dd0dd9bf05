/** How the project's Auth takes sign-ups: what it calls confirmed is what guest orders rest on. */
import { error, type Finding, ok, warning } from "./finding.ts";
import { secretKeyOf } from "../setup/project.ts";
import type { Subject } from "./subject.ts";

const timeoutMs = 15_000;

/** Reads Auth's public settings. */
export async function checkAuth({ env }: Subject): Promise<Finding[]> {
  try {
    const response = await fetch(`${env.supabaseUrl}/auth/v1/settings`, {
      headers: { apikey: secretKeyOf(env) },
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok) {
      return [error("auth_down", `Auth does not tell its settings (${response.status})`, mendOfAuth)];
    }
    return judgeAuth(await response.json());
  } catch {
    return [error("auth_down", "Auth does not answer", mendOfAuth)];
  }
}

const mendOfAuth = "look at the project's status in the dashboard";

/** What the settings mean for the shop. */
export function judgeAuth(settings: { mailer_autoconfirm?: unknown }): Finding[] {
  if (settings.mailer_autoconfirm !== true) {
    return [ok("Auth confirms e-mail addresses before it believes them")];
  }
  return [
    warning(
      "mailer_autoconfirm",
      '"Confirm email" is off (mailer_autoconfirm): anybody can sign up with anybody\'s address',
      "switch it on (dashboard, Authentication, Sign In / Providers, Email); until then no guest order is attached " +
        "to an account that signs up with a password",
    ),
  ];
}
