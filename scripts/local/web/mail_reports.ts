import { svixHeaders } from "../../../supabase/functions/mail-webhook/signature.ts";
import type { Mail } from "./mail_store.ts";

/** What Resend reports of a mail, in the order in which it happens. */
export type ReportType = "email.delivered" | "email.bounced" | "email.complained" | "email.suppressed";

/** Resend's test addresses (https://resend.com/docs/dashboard/emails/send-test-emails); any other gets its mail. */
const TEST_ADDRESSES: Readonly<Record<string, readonly ReportType[]>> = {
  bounced: ["email.bounced"],
  complained: ["email.delivered", "email.complained"],
  suppressed: ["email.suppressed"],
};

const DETAILS: Readonly<Partial<Record<ReportType, Record<string, unknown>>>> = {
  "email.bounced": {
    bounce: {
      type: "Permanent",
      subType: "General",
      message: "The recipient's mail server has permanently rejected the mail.",
    },
  },
  "email.suppressed": {
    suppressed: { type: "OnAccountSuppressionList", message: "The address is on the suppression list." },
  },
};

/** Between two tries of one report: seconds here, hours at Resend. */
const RETRY_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];

/** What is reported of a mail to these addresses; a label after + does not count. */
export function reportsOf({ to }: Pick<Mail, "to">): readonly ReportType[] {
  const address = /<([^<>]+)>/.exec(to[0] ?? "")?.[1] ?? to[0] ?? "";
  const [, name = ""] = /^([a-z]+)(?:\+[^@]*)?@resend\.dev$/i.exec(address.trim()) ?? [];
  return TEST_ADDRESSES[name.toLowerCase()] ?? ["email.delivered"];
}

/** The body of one report, as Resend writes it. */
function reportBody(mail: Mail, type: ReportType, at: Date): string {
  return JSON.stringify({
    type,
    created_at: at.toISOString(),
    data: {
      email_id: mail.id,
      created_at: mail.created_at,
      from: mail.from,
      to: mail.to,
      subject: mail.subject,
      ...(mail.tags.length === 0
        ? {}
        : { tags: Object.fromEntries(mail.tags.map(({ name, value }) => [name, value])) }),
      ...DETAILS[type],
    },
  });
}

/**
 * Posts what became of each mail to `url`, signed with `secret`, and again while it is not answered 2xx. Returns what
 * to call with each new mail; it does not wait.
 */
export function mailReporter(url: string, secret: string): (mail: Mail) => void {
  const post = async (type: ReportType, mail: Mail): Promise<void> => {
    const body = new TextEncoder().encode(reportBody(mail, type, new Date()));
    const id = `msg_${crypto.randomUUID()}`;
    for (const pause of [...RETRY_MS, null]) {
      const signed = await svixHeaders(body, secret, id, Math.floor(Date.now() / 1000));
      const problem = await attempt(url, body, { ...signed, "content-type": "application/json" });
      if (problem === null) return;
      if (pause === null) return console.error(`gave up reporting ${type} of mail ${mail.id}: ${problem}`);
      await new Promise<void>((wake) => Deno.unrefTimer(setTimeout(wake, pause)));
    }
  };
  return (mail) =>
    void reportsOf(mail).reduce((before, type) => before.then(() => post(type, mail)), Promise.resolve());
}

/** Null when it was taken, else why not. */
async function attempt(
  url: string,
  body: Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
): Promise<string | null> {
  try {
    const response = await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(10_000) });
    await response.body?.cancel();
    return response.ok ? null : `answered ${response.status}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
