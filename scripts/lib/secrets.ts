/** What must never be in a repository: keys, tokens, passwords and secret addresses. */

interface Secret {
  what: string;
  pattern: RegExp;
}

/** Patterns are written so that this file does not match itself. */
const FORMATS: Secret[] = [
  { what: "a live Stripe key", pattern: /\b[srp]k_live_[A-Za-z0-9]{8,}/g },
  { what: "a Stripe test key", pattern: /\b[sr]k_test_[A-Za-z0-9]{20,}/g },
  { what: "a webhook signing secret", pattern: /\bwhsec_[A-Za-z0-9+/=]{24,}/g },
  { what: "a Supabase access token", pattern: /\bsbp_(?:oauth_|v\d_)?[a-f0-9]{40}/g },
  { what: "a Supabase secret key", pattern: /\bsb_secret_[A-Za-z0-9_-]{20,}/g },
  { what: "a Resend key", pattern: /\bre_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}/g },
  { what: "a Turnstile secret", pattern: /\b0x4AAAAAAA[A-Za-z0-9_-]{20,}/g },
  { what: "a private key", pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----/g },
  { what: "a private JSON web key", pattern: /"kty"\s*:\s*"(?:EC|RSA|OKP)"[^{}]*"d"\s*:\s*"[\w-]{20,}"/g },
  {
    what: "a JSON web token",
    pattern: /\beyJ[A-Za-z0-9_-]{10,}\s*\.\s*eyJ[A-Za-z0-9_-]{10,}\s*\.\s*[A-Za-z0-9_-]{10,}/g,
  },
  { what: "an AWS key", pattern: /\bA(?:KI|SI)A[0-9A-Z]{16}\b/g },
  { what: "an AWS secret", pattern: /aws_secret_access_key["']?\s*[:=]\s*["']?[A-Za-z0-9+/=]{40}/gi },
  { what: "a GitHub token", pattern: /\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50,})/g },
  { what: "an npm token", pattern: /\bnpm_[A-Za-z0-9]{36}\b/g },
  { what: "a Slack token", pattern: /\bxox[abeprs]-[A-Za-z0-9-]{20,}/g },
  { what: "a chat or paging address", pattern: /https:\/\/hooks\.slack\.com\/services\/[A-Za-z0-9/]{20,}/g },
  {
    what: "a chat or paging address",
    pattern: /https:\/\/discord(?:app)?\.com\/api\/webhooks\/\d+\/[\w-]{20,}/g,
  },
  {
    what: "a chat or paging address",
    pattern: /https:\/\/events\.pagerduty\.com\/integration\/[a-f0-9]{20,}/g,
  },
  { what: "a Google key", pattern: /\bAIza[A-Za-z0-9_-]{35}/g },
  { what: "an AI provider's key", pattern: /\bsk-(?:proj|ant)-[A-Za-z0-9_-]{20,}/g },
  // Passwords of databases on this machine, and addresses that cannot exist (RFC 2606), are no secrets.
  {
    what: "an address with a password",
    pattern:
      /\b[a-z][a-z0-9+.-]{2,}:\/\/[^\s:/@"'`]+:[^\s:/@"'`$<{*]{6,}@(?!127\.0\.0\.1|localhost|[\w.-]+\.example\b|host\b)[\w.-]+\.\w+/g,
  },
];

/** Everything that `.env.example` and the tools call a secret, with a value that is neither made of words nor counts up. */
const NAMED: Secret[] = secretVariables().map((name) => ({
  what: `the value of ${name}`,
  pattern: new RegExp(
    `\\b${name}["']?\\s*[=:]\\s*["'\`]?(?![\\w+/=-]*(?:0123456789|abcdefgh))(?=[\\w+/=-]*\\d)(?=[\\w+/=-]*[A-Za-z])[\\w+/=-]{16,}`,
    "g",
  ),
}));

function secretVariables(): string[] {
  const example = Deno.readTextFileSync(new URL("../../.env.example", import.meta.url));
  const names = [...example.matchAll(/^#?\s*([A-Z][A-Z0-9_]+)=/gm)].map(([, name = ""]) => name);
  const tools = ["SUPABASE_ACCESS_TOKEN", "SUPABASE_DB_PASSWORD", "SUPABASE_DB_URL", "PGPASSWORD"];
  return [...new Set([...names, ...tools])].filter((name) =>
    /(KEYS?|SECRETS?|TOKEN|PASSWORD|DB_URL|ALERT_WEBHOOK_URL)$/.test(name) && !name.includes("PUBLISHABLE")
  );
}

/** Returns what looks like a secret in a text, with the line it stands on. */
export function findSecrets(text: string): { what: string; line: number; text: string }[] {
  // A text in UTF-16 has a zero in every second place; a text put together from pieces is one.
  const plain = text.replaceAll("\0", "").replaceAll(/["'`]\s*\+\s*["'`]/g, "");
  const found = [...FORMATS, ...NAMED].flatMap(({ what, pattern }) =>
    [...plain.matchAll(pattern)].map((match) => ({ what, index: match.index, text: match[0] }))
  );
  for (const match of plain.matchAll(/\b[A-Za-z0-9+/]{24,}={0,2}/g)) {
    if (hidesKey(match[0])) found.push({ what: "a key in base64", index: match.index, text: match[0] });
  }
  return found.map(({ what, index, text }) => ({
    what,
    line: plain.slice(0, index).split("\n").length,
    text,
  }));
}

function hidesKey(text: string): boolean {
  try {
    return /^(?:[srp]k_live_|whsec_|sb_secret_|sbp_)[\w+/=-]{12,}/.test(atob(text));
  } catch {
    return false;
  }
}
