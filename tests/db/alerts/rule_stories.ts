/** What makes each alert rule tell, and what is like it and keeps it quiet. */
import type postgres from "postgres";

type Tx = postgres.ReservedSql;

/** One order as the tables have it; times are minutes ago. */
interface Order {
  paid?: number;
  begun?: number;
  amount?: number;
  pieces?: number;
  shipTo?: string;
  card?: string;
  session?: boolean;
  currency?: string;
}

/** Fills tables directly: triggers and foreign keys sleep meanwhile. */
export class Shop {
  #count = 0;
  constructor(readonly tx: Tx) {}

  /** Does something so many times. */
  async times(count: number, act: (n: number) => Promise<unknown>): Promise<void> {
    for (let n = 0; n < count; n++) await act(n);
  }

  async order(
    {
      paid,
      begun = paid ?? 10,
      amount = 10_000,
      pieces = 1,
      shipTo = "US",
      card = "US",
      session = true,
      currency = "usd",
    }: Order,
  ): Promise<{ id: string; payment: string; number: string }> {
    const number = `R-${++this.#count}`, id = crypto.randomUUID(), payment = `pi_${number}`;
    await this
      .tx`insert into public.orders (id, number, currency, amount_subtotal, amount_total, livemode, cart_hash,
        session_expires_at, created_at, paid_at, payment_id, shipping_address)
      values (${id}, ${number}, ${currency}, ${amount}, ${amount}, false, '-', now(), now() - ${begun} * interval '1 minute',
        now() - ${paid ?? null}::numeric * interval '1 minute', ${payment}, ${
      this.tx.json({ country: shipTo })
    })`;
    await this.tx`insert into public.order_items (order_id, variant_id, sku, name, quantity, unit_amount)
      values (${id}, gen_random_uuid(), 'S', 'S', ${pieces}, 1)`;
    if (session) {
      await this
        .tx`insert into public.checkout_sessions (id, order_id, status, payment_status, livemode, expires_at, version,
          contact_version) values (${`cs_${number}`}, ${id}, 'open', 'unpaid', false, now(), '1', '1')`;
    }
    if (paid !== undefined) {
      await this
        .tx`insert into public.payments (id, order_id, status, amount, currency, livemode, card_brand, card_country,
          succeeded_at, version)
        values (${payment}, ${id}, 'succeeded', ${amount}, ${currency}, false, 'visa', ${card},
          now() - ${paid}::numeric * interval '1 minute', '1')`;
    }
    return { id, payment, number };
  }

  /** Forty paid orders of 100.00, a day apart: what is usual. */
  async usual(): Promise<void> {
    await this.times(40, (n) => this.order({ paid: (n + 3) * 1440 }));
  }

  attempt(
    minutesAgo: number,
    outcome: "succeeded" | "failed",
    more: { brand?: string; order?: string; code?: string; weeks?: number } = {},
  ) {
    const id = `ch_${++this.#count}`;
    return this
      .tx`insert into public.payment_attempts (id, payment_id, order_id, outcome, livemode, decline_code, card_brand,
        version, created_at)
      values (${id}, ${`pi_${more.order ?? id}`}, null, ${outcome}, false, ${more.code ?? null}, ${
      more.brand ?? "visa"
    }, '1',
        now() - ${minutesAgo} * interval '1 minute' - ${more.weeks ?? 0} * interval '7 days')`;
  }

  refund(order: { id: string; payment: string }, minutesAgo: number, amount = 1_000) {
    return this
      .tx`insert into public.refunds (id, order_id, payment_id, amount, currency, status, version, created_at)
      values (${`re_${++this.#count}`}, ${order.id}, ${order.payment}, ${amount}, 'usd', 'succeeded', '1',
        now() - ${minutesAgo} * interval '1 minute')`;
  }

  command(command: string, actor: string, minutesAgo: number) {
    return this.tx`insert into public.staff_commands (command, actor, created_at)
      values (${command}, ${actor}, now() - ${minutesAgo} * interval '1 minute')`;
  }

  dispute(order: { id: string; payment: string }, minutesAgo: number, status = "needs_response") {
    return this
      .tx`insert into public.disputes (id, order_id, payment_id, amount, currency, livemode, reason, status,
        statuses_seen, version, created_at)
      values (${`dp_${++this
      .#count}`}, ${order.id}, ${order.payment}, 1, 'usd', false, 'fraudulent', ${status},
        array[${status}], '1', now() - ${minutesAgo} * interval '1 minute')`;
  }

  mail(minutesAgo: number, status: string) {
    return this.tx`insert into public.notifications (order_id, template, dedupe_key, status, created_at)
      values (gen_random_uuid(), 'order_confirmation', '', ${status}, now() - ${minutesAgo} * interval '1 minute')`;
  }

  delivery(minutesAgo: number, lagSeconds: number) {
    return this
      .tx`insert into public.webhook_events (id, type, status, livemode, stripe_created_at, received_at, delivered_at,
        delivery_count, payload)
      select ${`evt_${++this
      .#count}`}, 'charge.updated', 'processed', false, t.at - ${lagSeconds} * interval '1 second', t.at,
        t.at, 1, '{}' from (select now() - ${minutesAgo} * interval '1 minute' as at) t`;
  }

  rejected(reason: string, address: string | null, count: number) {
    return this.tx`select public.record_webhook_rejection(${reason}, ${address}, ${count})`;
  }

  job(kind: string, dueMinutesAgo: number) {
    return this.tx`insert into private.jobs (kind, dedupe_key, run_at)
      values (${kind}, ${`${kind}:${++this.#count}`}, now() - ${dueMinutesAgo} * interval '1 minute')`;
  }

  async hold(endedMinutesAgo: number, status: string): Promise<void> {
    const { id } = await this.order({});
    await this.tx`update public.orders set status = ${status} where id = ${id}`;
    await this
      .tx`insert into public.inventory_reservations (order_id, variant_id, quantity, status, expires_at)
      values (${id}, gen_random_uuid(), 1, 'active', now() - ${endedMinutesAgo} * interval '1 minute')`;
  }

  heartbeat(silentMinutes: number, resumedMinutesAgo: number) {
    return this.tx`insert into private.heartbeats as h (name, silent_from, resumed_at)
      select 'retry_jobs', t.at - ${silentMinutes} * interval '1 minute', t.at
      from (select now() - ${resumedMinutesAgo} * interval '1 minute' as at) t
      on conflict (name) do update set silent_from = excluded.silent_from, resumed_at = excluded.resumed_at`;
  }

  /** Signed in so many minutes ago, with the triggers of `auth.users` awake. */
  async signedIn(role: string, level: string, minutesAgo: number): Promise<void> {
    const id = crypto.randomUUID();
    await this.tx`set local session_replication_role = origin`;
    await this.tx`insert into auth.users (id, raw_app_meta_data) values (${id}, ${this.tx.json({ role })})`;
    await this.tx`insert into auth.sessions (user_id, aal, created_at)
      values (${id}, ${level}, now() - ${minutesAgo} * interval '1 minute')`;
  }
}

export interface RuleStory {
  /** Like it, and not it. */
  quiet: (shop: Shop) => Promise<unknown>;
  /** On top of that. */
  provoke: (shop: Shop) => Promise<unknown>;
  /** What ends it, where time alone does not. */
  end?: (shop: Shop) => Promise<unknown>;
}

const day = 1440;

/** Sales of a month, and a few cases among them. */
async function monthOfSales(shop: Shop): Promise<void> {
  await shop
    .tx`insert into public.payments (id, status, amount, currency, livemode, card_brand, succeeded_at, version)
    select 'pi_month_' || n, 'succeeded', 1, 'usd', false, case when n % 10 = 0 then 'mastercard' else 'visa' end,
      now() - n * interval '36 minutes', '1' from generate_series(1, 1150) n`;
}
const sale = (n: number) => ({ id: crypto.randomUUID(), payment: `pi_month_${n}` });

async function warning(shop: Shop, payment: string, minutesAgo: number): Promise<void> {
  await shop.tx`insert into public.fraud_signals (source_id, payment_id, kind, severity, created_at)
    values (${`issfr_${payment}`}, ${payment}, 'early_fraud_warning', 'critical', now() - ${minutesAgo} * interval '1 minute')`;
}

export const ruleStories: Record<string, RuleStory> = {
  webhook_lag: {
    // One of thirty is late, and what was late an hour ago is over.
    quiet: async (shop) => {
      await shop.times(29, () => shop.delivery(5, 2));
      await shop.delivery(5, 4_000);
      await shop.times(9, () => shop.delivery(60, 4_000));
    },
    provoke: (shop) => shop.times(9, () => shop.delivery(1, 400)),
  },
  signature_failures: {
    // A stranger tries; Stripe's deliveries fail for another reason, and two for their signature.
    quiet: async (shop) => {
      await shop
        .tx`insert into private.refused_signatures (noted_at, total) values (now() - interval '10 minutes', 0)`;
      await shop.rejected("invalid_signature", "203.0.113.9", 500);
      await shop.rejected("body_too_large", "3.18.12.63", 50);
      await shop.rejected("invalid_signature", "3.18.12.63", 2);
    },
    provoke: (shop) => shop.rejected("timestamp_out_of_tolerance", null, 1),
  },
  job_backlog: {
    // Due for ten minutes, or held because the provider is down.
    quiet: async (shop) => {
      await shop.job("purge", 10);
      await shop
        .tx`insert into private.circuit_breakers (provider, failures, opened_at, open_until)
        values ('mail', 9, now(), now())`;
      await shop.job("send_mail", 90);
    },
    provoke: (shop) => shop.job("purge", 16),
    end: (shop) => shop.tx`delete from private.jobs`,
  },
  scheduler_silent: {
    quiet: (shop) => shop.heartbeat(600, 70),
    provoke: (shop) => shop.heartbeat(6, 1),
  },
  checkout_errors: {
    // Four of nine have no page, one of them is a minute old.
    quiet: async (shop) => {
      await shop.times(6, () => shop.order({ begun: 5 }));
      await shop.times(4, () => shop.order({ begun: 5, session: false }));
      await shop.times(9, () => shop.order({ begun: 1, session: false }));
      await shop.times(9, () => shop.order({ begun: 30, session: false }));
    },
    provoke: (shop) => shop.times(2, () => shop.order({ begun: 4, session: false })),
  },
  decline_rate: {
    // A quarter refused as every week at this hour, some paid at the second try; an outage; and a small shop's first declines.
    quiet: async (shop) => {
      for (const weeks of [1, 2, 3, 4]) {
        await shop.times(10, () => shop.attempt(30, "failed", { weeks }));
        await shop.times(30, () => shop.attempt(30, "succeeded", { weeks }));
      }
      await shop.times(5, () => shop.attempt(30, "failed"));
      await shop.times(12, (n) => shop.attempt(30, "failed", { order: `again_${n}` }));
      await shop.times(15, (n) => shop.attempt(20, "succeeded", { order: `again_${n}` }));
      await shop.times(15, () => shop.attempt(20, "failed", { code: "issuer_not_available", brand: "jcb" }));
      await shop.times(2, () => shop.attempt(20, "succeeded", { brand: "jcb" }));
    },
    provoke: async (shop) => {
      await shop.times(
        48,
        (n) => shop.attempt(10, n < 8 ? "succeeded" : "failed", { brand: n % 2 ? "visa" : "amex" }),
      );
    },
  },
  method_outage: {
    // Half of one brand, and all of another that hardly anybody uses.
    quiet: async (shop) => {
      await shop.times(6, () => shop.attempt(30, "failed", { brand: "amex" }));
      await shop.times(8, () => shop.attempt(30, "succeeded", { brand: "amex" }));
      await shop.times(5, () => shop.attempt(30, "failed", { brand: "jcb" }));
      await shop.times(60, () => shop.attempt(30, "succeeded"));
    },
    provoke: (shop) => shop.times(8, () => shop.attempt(30, "failed", { brand: "jcb" })),
  },
  order_high_value: {
    // Fourteen times the usual; far more, but sent; a large order of a currency in which nothing is usual.
    quiet: async (shop) => {
      await shop.usual();
      await shop.order({ paid: 10, amount: 149_000 });
      const sent = await shop.order({ paid: 10, amount: 900_000 });
      await shop.tx`update public.orders set fulfilled_at = now() where id = ${sent.id}`;
      await shop.order({ paid: 10, amount: 900_000, currency: "jpy" });
    },
    provoke: (shop) => shop.order({ paid: 5, amount: 150_000 }),
  },
  order_country_mismatch: {
    // A small present abroad, and a large order at home.
    quiet: async (shop) => {
      await shop.usual();
      await shop.order({ paid: 10, amount: 40_000, card: "DE" });
      await shop.order({ paid: 10, amount: 90_000 });
    },
    provoke: (shop) => shop.order({ paid: 5, amount: 50_000, card: "DE" }),
  },
  order_many_pieces: {
    quiet: (shop) => shop.order({ paid: 10, pieces: 29 }),
    provoke: (shop) => shop.order({ paid: 5, pieces: 30 }),
  },
  refund_spike: {
    // Two a day, and five today.
    quiet: async (shop) => {
      const order = await shop.order({ paid: 40 * day });
      await shop.times(56, (n) => shop.refund(order, day + 10 + n * 700));
      await shop.times(5, (n) => shop.refund(order, 10 + n));
    },
    provoke: async (shop) => {
      const order = await shop.order({ paid: 40 * day });
      await shop.times(6, (n) => shop.refund(order, 20 + n));
    },
  },
  refunds_by_one: {
    // Somebody who refunds three a day, and nine of a newcomer.
    quiet: async (shop) => {
      await shop.times(84, (n) => shop.command("request_refund", "ada", day + 10 + n * 470));
      await shop.times(10, (n) => shop.command("request_refund", "ada", 10 + n));
      await shop.times(9, (n) => shop.command("cancel_order", "bob", 10 + n));
      await shop.times(20, (n) => shop.command("mark_fulfilled", "bob", 10 + n));
    },
    provoke: (shop) => shop.command("request_refund", "bob", 5),
  },
  large_refund: {
    quiet: async (shop) => {
      await shop.usual();
      const order = await shop.order({ paid: 5 * day, amount: 120_000 });
      await shop.refund(order, 10, 99_000);
    },
    provoke: async (shop) => {
      const order = await shop.order({ paid: 5 * day, amount: 120_000 });
      await shop.refund(order, 5, 100_000);
    },
  },
  erasure_done: {
    quiet: (shop) => shop.command("erase_customer", "ada", 2 * day),
    provoke: (shop) => shop.command("erase_customer", "ada", 5),
  },
  stock_leak: {
    // Half an hour, which the sweep has; and a debit that takes days.
    quiet: async (shop) => {
      await shop.hold(30, "pending");
      await shop.hold(2 * day, "processing");
    },
    provoke: (shop) => shop.hold(61, "expired"),
    end: (shop) => shop.tx`update public.inventory_reservations set status = 'released'`,
  },
  dispute_ratio: {
    // Seven of a thousand Visa sales; inquiries, other brands and what was settled before do not count.
    quiet: async (shop) => {
      await monthOfSales(shop);
      await shop.times(4, (n) => shop.dispute(sale(n * 50 + 1), n * 3 * day + 10));
      await shop.times(3, (n) => warning(shop, `pi_month_${n * 50 + 2}`, n * 3 * day + 10));
      await shop.times(
        9,
        (n) => shop.dispute(sale(n * 10 + 3), n * day, n % 2 ? "warning_needs_response" : "prevented"),
      );
      await shop.times(9, (n) => shop.dispute(sale((n + 1) * 10), n * day));
    },
    provoke: (shop) => warning(shop, "pi_month_501", 20),
  },
  mail_bouncing: {
    // Nine of fifty, four of ten a day earlier.
    quiet: async (shop) => {
      await shop.times(41, () => shop.mail(60, "delivered"));
      await shop.times(9, () => shop.mail(60, "bounced"));
      await shop.times(40, () => shop.mail(60, "queued"));
      await shop.times(10, () => shop.mail(30 * 60, "bounced"));
    },
    provoke: (shop) => shop.times(2, () => shop.mail(30, "failed")),
  },
  key_mode_changed: {
    quiet: (shop) =>
      shop.tx`insert into private.key_modes (livemode, seen_at) values (true, now() - interval '25 hours')`,
    provoke: (shop) =>
      shop.tx`update private.key_modes set seen_at = now() - interval '1 hour' where livemode`,
  },
  admin_without_mfa: {
    // A customer; staff with a second factor; somebody who is typing it; a session that nobody uses any more.
    quiet: async (shop) => {
      await shop.signedIn("customer", "aal1", 60);
      await shop.signedIn("admin", "aal2", 60);
      await shop.signedIn("admin", "aal1", 5);
      await shop.signedIn("admin", "aal1", 2 * day);
    },
    provoke: (shop) => shop.signedIn("admin", "aal1", 11),
  },
};
