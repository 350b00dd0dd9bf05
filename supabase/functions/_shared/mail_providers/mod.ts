/** Which provider sends the mail. */
import type { Env } from "../env.ts";
import { postmark } from "./postmark.ts";
import type { MailProvider } from "./provider.ts";
import { resend } from "./resend.ts";

/** The provider of MAIL_PROVIDER, with the sender of all mail; null while mail is not set up. */
export function mailProvider(
  env: Pick<Env, "mailProvider" | "resend" | "postmark" | "emailFrom">,
  fetcher: typeof fetch,
): { provider: MailProvider; from: string } | null {
  if (env.emailFrom === null) return null;
  const provider = env.mailProvider === "postmark"
    ? env.postmark && postmark(env.postmark, fetcher)
    : env.resend && resend(env.resend, fetcher);
  return provider === null ? null : { provider, from: env.emailFrom };
}
