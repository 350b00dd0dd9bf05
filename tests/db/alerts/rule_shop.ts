/** A shop for the alert rules: rows as they are at this moment, so many minutes old. */
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

  /** So many orders that somebody tries to pay once; with `order`, the orders of that name. */
  attempts(
    count: number,
    minutesAgo: number,
    outcome: "succeeded" | "failed",
    more: { brand?: string; order?: string; code?: string; weeks?: number } = {},
  ) {
    const id = `ch_${++this.#count}_`;
    return this
      .tx`insert into public.payment_attempts (id, payment_id, outcome, livemode, decline_code, card_brand, version,
        created_at)
      select ${id} || n, ${`pi_${more.order ?? id}`} || n, ${outcome}, false, ${more.code ?? null}, ${
      more.brand ?? "visa"
    },
        '1', now() - ${minutesAgo} * interval '1 minute' - ${more.weeks ?? 0} * interval '7 days'
      from generate_series(1, ${count}::integer) n`;
  }

  refund(order: { id: string; payment: string }, minutesAgo: number, amount = 1_000) {
    return this.refunds(order, 1, minutesAgo, 0, amount);
  }

  /** So many, so far apart, the last one so many minutes ago. */
  refunds(
    order: { id: string; payment: string },
    count: number,
    minutesAgo: number,
    apart: number,
    amount = 1_000,
  ) {
    return this
      .tx`insert into public.refunds (id, order_id, payment_id, amount, currency, status, version, created_at)
      select ${`re_${++this
      .#count}_`} || n, ${order.id}, ${order.payment}, ${amount}, 'usd', 'succeeded', '1',
        now() - (${minutesAgo} + (n - 1) * ${apart}::numeric) * interval '1 minute'
      from generate_series(1, ${count}::integer) n`;
  }

  commands(command: string, actor: string, count: number, minutesAgo: number, apart = 1) {
    return this.tx`insert into public.staff_commands (command, actor, created_at)
      select ${command}, ${actor}, now() - (${minutesAgo} + (n - 1) * ${apart}::numeric) * interval '1 minute'
      from generate_series(1, ${count}::integer) n`;
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
