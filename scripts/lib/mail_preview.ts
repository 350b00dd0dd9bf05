import type { Notification } from "../../supabase/functions/_shared/database/notifications.ts";
import type { Rendered } from "../../supabase/functions/_shared/mails/content.ts";
import { renderMail, templateNames } from "../../supabase/functions/_shared/mails/mod.ts";

/** Reads rows, with `$1` and so on for the parameters. */
export interface Reader {
  query(text: string, parameters: string[]): Promise<Record<string, unknown>[]>;
}

/** What to look at; an empty order is the newest one. */
export interface PreviewRequest {
  template: string;
  order: string;
  /** Language tag; empty: the order's own. */
  locale: string;
}

/** Renders any template for any order; null when there is no such template or order. */
export type MailPreview = (request: PreviewRequest, siteUrl: string) => Promise<Rendered | null>;

/** What templates read of a notification's own data, where an order has no such notification. */
const sampleData = { carrier: "UPS", tracking_number: "1Z12345E0205271688" };

/** A preview that reads orders and the shop's settings from the database, and writes nothing. */
export function mailPreview(database: Reader): MailPreview {
  return async ({ template, order, locale }, siteUrl) => {
    if (!templateNames.includes(template)) return null;
    const [row] = await database.query(
      `select private.mail_order(o) as "order", private.shop() as shop, private.is_reminder($2) as is_reminder, coalesce(
          (select n.data from public.notifications n
          where n.order_id = o.id and n.template = $2 order by n.created_at desc limit 1), '{}'
        ) as data
        from public.orders o where $1 in ('', o.number) order by o.created_at desc, o.id limit 1`,
      [order, template],
    );
    if (row === undefined) return null;
    const found = row as unknown as Pick<Notification, "order" | "shop" | "data" | "is_reminder">;
    const notification: Notification = {
      id: "preview",
      order_id: "preview",
      template,
      recipient: null,
      recipient_hmac: null,
      suppression: null,
      is_sent: false,
      status: "queued",
      problem: null,
      shop: found.shop,
      is_reminder: found.is_reminder,
      data: { ...sampleData, amount: found.order.amount_total, ...found.data },
      order: { ...found.order, locale: locale === "" ? found.order.locale : locale },
    };
    return renderMail(notification, {
      siteUrl,
      resumeUrl: `${siteUrl}/resume?token=preview`,
      orderToken: "preview",
      unsubscribeUrl: found.is_reminder ? `${siteUrl}/unsubscribe?token=preview` : null,
    });
  };
}
