/** Looks for what must never be in a repository: keys, tokens, card data of real cards. */
import { judged, runCommand, type Step } from "./step.ts";

interface Secret {
  what: string;
  pattern: RegExp;
}

/** Patterns are assembled so that this file does not match itself. */
const SECRETS: Secret[] = [
  { what: "a live Stripe key", pattern: /\b[srp]k_live_[A-Za-z0-9]{8,}/ },
  { what: "a Stripe test key", pattern: /\b[sr]k_test_[A-Za-z0-9]{24,}/ },
  { what: "a webhook signing secret", pattern: /\bwhsec_[A-Za-z0-9+/=]{32,}/ },
  { what: "a Supabase access token", pattern: /\bsbp_[a-f0-9]{40}/ },
  { what: "a Supabase secret key", pattern: /\bsb_secret_[A-Za-z0-9_-]{20,}/ },
  { what: "a Resend key", pattern: /\bre_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}/ },
  { what: "a private key", pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----/ },
  { what: "a JSON web token", pattern: /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/ },
  { what: "an AWS key", pattern: /\bAKIA[0-9A-Z]{16}\b/ },
  { what: "a GitHub token", pattern: /\bgh[pousr]_[A-Za-z0-9]{36}/ },
];

/** Scans every tracked and every new file. */
export const secretScan: Step = {
  name: "secrets",
  async run({ root }) {
    const listed = await runCommand("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root });
    const paths = listed.stdout.split("\0").filter((path) => path !== "");
    const problems: string[] = [];
    for (const path of paths) {
      const text = await Deno.readTextFile(`${root}/${path}`).catch(() => "");
      problems.push(
        ...findSecrets(text).map(({ what, line }) =>
          `${path}:${line} looks like ${what}: remove and revoke it`
        ),
      );
    }
    const env = paths.filter((path) => /(^|\/)\.env(\.|$)/.test(path) && !path.endsWith(".env.example"));
    problems.push(...env.map((path) => `${path} is not ignored by git: environment files hold secrets`));
    return judged(problems, `${paths.length} files`);
  },
};

/** Returns what looks like a secret in a text, with the line it stands on. */
export function findSecrets(text: string): { what: string; line: number }[] {
  return text.split("\n").flatMap((line, at) =>
    SECRETS.filter(({ pattern }) => pattern.test(line)).map(({ what }) => ({ what, line: at + 1 }))
  );
}
