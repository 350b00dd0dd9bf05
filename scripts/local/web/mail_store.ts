/** One mail as the Resend stand-in accepted it. */
export interface Mail {
  id: string;
  created_at: string;
  from: string;
  to: string[];
  cc: string[];
  bcc: string[];
  reply_to: string[];
  subject: string;
  html: string | null;
  text: string | null;
  headers: Record<string, string>;
  tags: { name: string; value: string }[];
  attachments: { filename: string; content_type: string | null; size: number }[];
  idempotency_key: string | null;
  /** SHA-256 of the request body, to tell a repeat from a reuse of the key. */
  body_hash: string;
}

/** The mails of one stack: in memory, each also a file that outlives the process. */
export interface MailStore {
  /** Newest first. */
  list(): readonly Mail[];
  get(id: string): Mail | undefined;
  /** The mail accepted under this idempotency key within the last 24 hours. */
  byIdempotencyKey(key: string): Mail | undefined;
  add(mail: Mail): void;
}

/** Resend keeps idempotency keys for 24 hours. */
const KEY_LIFETIME_MS = 24 * 60 * 60 * 1000;

function parseMail(text: string): Mail | null {
  try {
    const value: unknown = JSON.parse(text);
    const isMail = typeof value === "object" && value !== null && "id" in value && "created_at" in value;
    return isMail ? value as Mail : null;
  } catch {
    return null;
  }
}

async function readMails(dir: string): Promise<Mail[]> {
  const mails: Mail[] = [];
  for await (const entry of Deno.readDir(dir)) {
    if (!entry.isFile || !entry.name.endsWith(".json")) continue;
    const mail = parseMail(await Deno.readTextFile(`${dir}/${entry.name}`));
    if (mail !== null) mails.push(mail);
  }
  return mails.sort((a, b) => a.created_at < b.created_at ? -1 : a.created_at > b.created_at ? 1 : 0);
}

/** Opens the folder, creating it when needed, and loads what an earlier run left there. */
export async function openMailStore(dir: string): Promise<MailStore> {
  await Deno.mkdir(dir, { recursive: true });
  const mails = await readMails(dir);
  const byId = new Map(mails.map((mail) => [mail.id, mail]));
  const byKey = new Map<string, Mail>();
  for (const mail of mails) if (mail.idempotency_key !== null) byKey.set(mail.idempotency_key, mail);

  return {
    list: () => mails.toReversed(),
    get: (id) => byId.get(id),
    byIdempotencyKey: (key) => {
      const mail = byKey.get(key);
      return mail !== undefined && Date.now() - Date.parse(mail.created_at) < KEY_LIFETIME_MS
        ? mail
        : undefined;
    },
    // Written synchronously and renamed into place: two requests with one key cannot interleave, and a mail
    // that was answered with an id is on disk.
    add: (mail) => {
      const path = `${dir}/${mail.id}.json`;
      Deno.writeTextFileSync(`${path}.part`, JSON.stringify(mail, null, 2));
      Deno.renameSync(`${path}.part`, path);
      mails.push(mail);
      byId.set(mail.id, mail);
      if (mail.idempotency_key !== null) byKey.set(mail.idempotency_key, mail);
    },
  };
}
