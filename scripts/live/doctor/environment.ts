import { mailProvider } from "../../../supabase/functions/_shared/mail_providers/mod.ts";
import { environmentVariables } from "../../../supabase/functions/_shared/env.ts";
import { isLoopback } from "../../../supabase/functions/_shared/http/loopback.ts";
import { error, type Finding, ok, warning } from "./finding.ts";
import type { Source, Subject } from "./subject.ts";

/** Above it a limit limits nobody; an office behind one address stays below. */
const rateLimitUsual = 600;

/** Blanks and invisible characters, which a dashboard shows to nobody. */
export function checkWhitespace({ values }: Source): Finding[] {
  const found = Object.entries(values).flatMap(([name, value]): Finding[] => {
    if (/[\u200b-\u200d\u2060\ufeff\u00a0]/.test(value)) {
      return [
        error(
          "variable_invisible",
          `${name} contains an invisible character`,
          "type or copy the value again",
        ),
      ];
    }
    return value === value.trim() ? [] : [
      warning(
        "variable_spaces",
        `${name} begins or ends with white space`,
        "remove it: other readers do not trim",
      ),
    ];
  });
  return found.length > 0 ? found : [ok("no white space around any value")];
}

/** What the environment says about itself, and what a shop would miss. */
export function checkEnvironment(subject: Subject): Finding[] {
  const { env, kind } = subject;
  const mode = env.livemode ? "live" : "test";
  const findings = [ok(`environment complete; Stripe in ${mode} mode fits APP_ENV=${env.appEnv}`)];
  const sendsMail = mailProvider(env, fetch) !== null;
  if (!sendsMail) {
    findings.push(warning("mail_off", "no mail is sent", "set RESEND_API_KEY and EMAIL_FROM"));
  }
  if (env.alertEmail === null && env.alertWebhookUrl === null) {
    findings.push(warning("alerts_off", "alerts reach nobody", "set ALERT_EMAIL or ALERT_WEBHOOK_URL"));
  }
  if (kind === "project" && sendsMail && env.alertEmail !== null && env.alertWebhookUrl === null) {
    findings.push(
      warning(
        "alerts_by_mail_alone",
        "staff hear by mail alone, also that mail is broken",
        "set ALERT_WEBHOOK_URL: another way than mail",
      ),
    );
  }
  if (kind === "project" && env.stripeWebhookIpMode !== "enforce") {
    findings.push(
      warning(
        "allowlist_off",
        `STRIPE_WEBHOOK_IP_MODE is ${env.stripeWebhookIpMode}`,
        "set it to enforce: signatures decide alone now",
      ),
    );
  }
  return [...findings, ...checkAddresses(subject), ...checkLimits(env)];
}

/** Addresses that only an offline stack can reach, in the environment of a project that is hosted. */
function checkAddresses({ env, kind, values }: Subject): Finding[] {
  if (kind === "local" || isLoopback(env.supabaseUrl)) return [];
  const findings: Finding[] = [];
  if (env.stripeApiBase !== null) {
    findings.push(error(
      "stripe_api_base_set",
      "STRIPE_API_BASE is set: the functions do not talk to Stripe",
      "remove it, and run 'deno task setup' with STRIPE_API_BASE= empty, which unsets it there",
    ));
  }
  const others = environmentVariables.filter((name) => name !== "STRIPE_API_BASE");
  for (const name of others) {
    if (!(values[name] ?? "").split(",").some((part) => isLoopback(part.trim()))) continue;
    // A storefront under construction runs on a developer's machine.
    const say = name === "ALLOWED_ORIGINS" && env.appEnv === "development" ? warning : error;
    findings.push(say(
      "address_of_this_machine",
      `${name} has an address that only this machine can reach, and the project is hosted`,
      "set the address that the world reaches",
    ));
  }
  return findings;
}

/** What may be relaxed while a shop is built, and not once it sells. */
function checkLimits(env: Subject["env"]): Finding[] {
  if (env.appEnv !== "production") return [];
  const findings: Finding[] = [];
  if (env.velocityMode !== "enforce") {
    findings.push(
      warning(
        "velocity_off",
        `VELOCITY_MODE is ${env.velocityMode}: card testers are not refused`,
        "set it to enforce once its alerts name nobody honest",
      ),
    );
  }
  if (env.checkout.rateLimitPerMinute > rateLimitUsual) {
    findings.push(
      warning(
        "rate_limit_off",
        `CHECKOUT_RATE_LIMIT is ${env.checkout.rateLimitPerMinute} a minute: no shopper needs so many`,
        "set it to 30, or leave it out",
      ),
    );
  }
  if (env.checkout.turnstile === null) {
    findings.push(
      warning(
        "turnstile_off",
        "nothing tells robots from shoppers at the checkout",
        "add a Turnstile widget (docs/going-live.md) and set CHECKOUT_TURNSTILE_SECRET",
      ),
    );
  }
  if (!env.adminRequireMfa) {
    findings.push(
      warning(
        "mfa_off",
        "staff need no second factor",
        "let each set one up (docs/console.md), then set ADMIN_REQUIRE_MFA=true",
      ),
    );
  }
  return findings;
}
