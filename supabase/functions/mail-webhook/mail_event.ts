/** What Resend's webhooks tell of a mail (https://resend.com/docs/webhooks/event-types), as far as we listen. */
import * as z from "zod/mini";
import type { NotificationCalls } from "../_shared/database/notifications.ts";
import { notificationTag } from "../_shared/mail_providers/resend.ts";

export type MailEvent = Parameters<NotificationCalls["recordMailEvent"]>[0];

const statuses: Record<string, MailEvent["status"]> = {
  "email.delivered": "delivered",
  "email.bounced": "bounced",
  "email.complained": "complained",
  // On Resend's own list, after an earlier bounce or complaint.
  "email.suppressed": "suppressed",
  // Taken, and then not sent: a plan that is used up, a domain that is not verified any more.
  "email.failed": "failed",
};

/** What to choose at Resend's webhook. */
export const reportTypes: readonly string[] = Object.keys(statuses);

/** The type of a report that we listen to, whatever else it says; else null. */
export function reportTypeOf(payload: unknown): string | null {
  if (typeof payload !== "object" || payload === null || !("type" in payload)) return null;
  const { type } = payload;
  return typeof type === "string" && reportTypes.includes(type) ? type : null;
}

/** Beside whose mail it is and when, everything may be missing or null: a detail must not cost the report. */
const eventSchema = z.object({
  type: z.string(),
  created_at: z.iso.datetime({ offset: true }),
  data: z.object({
    email_id: z.string().check(z.minLength(1), z.maxLength(200)),
    to: z.nullish(z.union([z.string(), z.array(z.string())])),
    // An object in today's events, a list of pairs in older ones.
    tags: z.nullish(z.union([
      z.record(z.string(), z.string()),
      z.pipe(
        z.array(z.object({ name: z.string(), value: z.string() })),
        z.transform((tags) => Object.fromEntries(tags.map(({ name, value }) => [name, value]))),
      ),
    ])),
    bounce: z.nullish(z.object({
      type: z.nullish(z.string()),
      subType: z.nullish(z.string()),
      message: z.nullish(z.string()),
    })),
    suppressed: z.nullish(z.object({ message: z.nullish(z.string()) })),
    failed: z.nullish(z.object({ reason: z.nullish(z.string()) })),
  }),
});

const detailMax = 500;

/** The event in our words; null for one that we do not listen to, or do not understand. */
export function readMailEvent(payload: unknown): MailEvent | null {
  const parsed = eventSchema.safeParse(payload);
  const status = parsed.success && Object.hasOwn(statuses, parsed.data.type)
    ? statuses[parsed.data.type]
    : undefined;
  if (!parsed.success || status === undefined) return null;
  const { created_at: at, data } = parsed.data;
  const { bounce } = data;
  const bounceText = [[bounce?.type, bounce?.subType].filter(Boolean).join(" "), bounce?.message];
  const detail = status === "bounced"
    ? bounceText.filter(Boolean).join(": ")
    : data.suppressed?.message ?? data.failed?.reason ?? "";
  return {
    notificationId: z.uuid().safeParse(data.tags?.[notificationTag]).data ?? null,
    providerId: data.email_id,
    status,
    // A full mailbox (Transient) may have room tomorrow; of Undetermined nobody knows more.
    permanent: bounce?.type === "Permanent",
    recipient: recipientOf([data.to ?? []].flat()[0]),
    at,
    detail: detail === "" ? null : detail.slice(0, detailMax),
  };
}

function recipientOf(to: string | undefined): string | null {
  return /<([^<>]+)>\s*$/.exec(to ?? "")?.[1] ?? to ?? null;
}
