/** Everybody who comes to a shop while its secrets change, and what is refused to them. */
import { svixHeaders } from "../../../supabase/functions/mail-webhook/signature.ts";
import type { TestProject } from "./project.ts";

export interface Traffic {
  /** What was refused so far, and to whom. */
  refused: string[];
  /** The token that the monitor presents. */
  monitor: { token: string };
  /** Orders that were begun and paid. */
  orders: string[];
  /** Tokens of the links in mails. */
  links: ReadonlySet<string>;
  /** Everybody comes once, or these do. */
  round(who?: readonly string[]): Promise<void>;
  /** Everybody comes while something happens. */
  during<T>(work: () => Promise<T>): Promise<T>;
  /** The time of all links so far is over: nobody opens them any more. */
  endLinks(): Promise<void>;
}

/** Who comes: shoppers, pg_cron, readers of mails, a monitor and Resend; Stripe delivers by itself. */
export function trafficOf(project: TestProject, token: string): Traffic {
  const { stack, url } = project;
  const refused: string[] = [];
  const orders: string[] = [];
  const ended = new Set<string>();
  const links = new Set<string>();
  const judged = new Set<string>();
  const monitor = { token };
  const expect = async (who: string, response: Response, status: number): Promise<string> => {
    const text = await response.text();
    if (response.status !== status) refused.push(`${who}: ${response.status} ${text.slice(0, 300)}`);
    return text;
  };

  const readMails = async () => {
    const { data } = await (await fetch(`${stack.web_url}/inbox.json`)).json();
    for (const { text } of data) {
      for (const [, link = ""] of String(text).matchAll(/#token=([\w.-]+)/g)) links.add(link);
    }
  };

  const visits: Record<string, () => Promise<void>> = {
    async shopper() {
      const response = await fetch(`${url}/functions/v1/create-checkout-session`, {
        method: "POST",
        headers: { apikey: stack.publishable_key, "content-type": "application/json" },
        body: JSON.stringify({
          items: [{ sku: "SHIRT-OXF-BLU-M", quantity: 1 }],
          customer_email: `shopper-${crypto.randomUUID()}@example.com`,
        }),
      });
      const text = await expect("shopper", response, 201);
      if (response.status !== 201) return;
      const { session_id: session, order_id: order } = JSON.parse(text);
      const paid = await fetch(`${stack.stripe_url}/_control/pay`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ session }),
      });
      if (!paid.ok) throw new Error(await paid.text());
      await paid.body?.cancel();
      orders.push(order);
    },
    async scheduler() {
      const [key] = await stack
        .sql`select decrypted_secret as it from vault.decrypted_secrets where name = 'retry_jobs_key'`;
      await stack.sql`update private.jobs set run_at = now() where status = 'queued' and kind = 'send_mail'`;
      const response = await fetch(`${url}/functions/v1/retry-jobs`, {
        method: "POST",
        headers: { apikey: key?.["it"], "content-type": "application/json" },
        body: '{"limit":8}',
      });
      await expect("scheduler", response, 200);
    },
    async reader() {
      await readMails();
      const open = [...links].filter((link) => !ended.has(link));
      for (const link of [...open.slice(0, 2), ...open.slice(-2)]) {
        const answers = await project.askAll(
          "order-status",
          () =>
            new Request(`${url}/order-status?token=${link}`, { headers: { apikey: stack.publishable_key } }),
        );
        for (const answer of answers) await expect("reader", answer, 200);
      }
    },
    async monitor() {
      const answers = await project.askAll(
        "health",
        () => new Request(`${url}/health`, { headers: { authorization: `Bearer ${monitor.token}` } }),
      );
      for (const answer of answers) {
        // A busy machine may answer late, which health tells as "down", with 503 and without figures.
        const { checks } = await answer.json();
        const isDown = checks?.database?.status === "down";
        if (!isDown && checks?.jobs?.due === undefined) refused.push("monitor: sees no figures");
      }
    },
    async resend() {
      const call = async (path: string) =>
        await (await fetch(`${stack.web_url}/resend${path}`, {
          headers: { authorization: "Bearer re_full_access" },
        })).json();
      for (const { id, events } of (await call("/webhooks")).data) {
        if (!events.includes("email.delivered")) continue;
        const { signing_secret: secret } = await call(`/webhooks/${id}`);
        const body = new TextEncoder().encode('{"type":"rehearsal"}');
        const headers = await svixHeaders(body, secret, "rehearsal", Math.floor(Date.now() / 1000));
        const answers = await project.askAll(
          "mail-webhook",
          () => new Request(`${url}/mail-webhook`, { method: "POST", headers, body }),
        );
        for (const answer of answers) await expect("resend", answer, 200);
      }
    },
    async stripe() {
      const { deliveries } = await (await fetch(`${stack.stripe_url}/_control/deliveries?limit=50`)).json();
      for (const { status, type, response, at, event_id, endpoint_id } of deliveries) {
        const attempt = [event_id, endpoint_id, at].join();
        if (status !== 200 && !judged.has(attempt)) refused.push(`stripe: ${status} ${type} ${response}`);
        judged.add(attempt);
      }
    },
  };

  const round = async (who: readonly string[] = Object.keys(visits)) => {
    await Promise.all(who.map((name) => visits[name]?.()));
  };
  return {
    refused,
    monitor,
    orders,
    links,
    round,
    async during(work) {
      let done = false;
      const worked = work().finally(() => done = true);
      const rounds = async () => {
        do await round(); while (!done);
      };
      const [outcome] = await Promise.allSettled([worked, rounds()]);
      if (outcome.status === "rejected") throw outcome.reason;
      return outcome.value;
    },
    async endLinks() {
      await readMails();
      links.forEach((link) => ended.add(link));
    },
  };
}
