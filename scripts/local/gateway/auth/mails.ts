/** The mails of the offline Auth: links and codes that prove an address, sent like every other mail of the stack. */
import { html } from "../../../stand-in/http/html.ts";

/** Sends one mail; throws when it is not accepted. */
export type SendMail = (mail: { to: string; subject: string; html: string; text: string }) => Promise<void>;

/** How mails leave: through the mail service of the functions, by default the stand-in with the inbox. */
export interface MailService {
  url: string;
  key: string;
  from: string;
}

const TIMEOUT_MS = 5_000;

/** Sends mails with Resend's API. */
export function mailThrough({ url, key, from }: MailService): SendMail {
  return async ({ to, ...content }) => {
    const response = await fetch(`${url}/emails`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ from, to: [to], ...content }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`the mail service answered ${response.status}`);
  };
}

/** A mail that asks to open a link, or to type its code in. */
export function proofMail(
  to: string,
  subject: string,
  request: string,
  link: string,
  code: string,
): Parameters<SendMail>[0] {
  const typed = `Or enter this code: ${code}`;
  const body = html`
    <h2>${subject}</h2>
    <p>${request}</p>
    <p><a href="${link}">${subject}</a></p>
    <p>${typed}</p>
  `;
  return { to, subject, html: body.text, text: `${request}\n\n${link}\n\n${typed}\n` };
}
