/** What makes each alert rule tell, and what is like it and keeps it quiet. */
import type { Shop } from "./rule_shop.ts";

export interface RuleStory {
  /** What is like it, and not it: each by itself. */
  quiet: ((shop: Shop) => Promise<unknown>)[];
  /** On top of the last of these. */
  provoke: (shop: Shop) => Promise<unknown>;
  /** What ends it, where time alone does not. */
  end?: (shop: Shop) => Promise<unknown>;
}

const day = 1440;

/** A quarter was refused in this hour of the last four weeks. */
async function usualDeclines(shop: Shop): Promise<void> {
  for (const weeks of [1, 2, 3, 4]) {
    await shop.attempts(10, 30, "failed", { weeks });
    await shop.attempts(30, 30, "succeeded", { weeks });
  }
}

/** A thousand Visa sales within a month, and a few of another brand. */
export async function monthOfSales(shop: Shop): Promise<void> {
  await shop
    .tx`insert into public.payments (id, status, amount, currency, livemode, card_brand, succeeded_at, version)
    select 'pi_month_' || n, 'succeeded', 1, 'usd', false, case when n % 10 = 0 then 'mastercard' else 'visa' end,
      now() - n * interval '36 minutes', '1' from generate_series(1, 1150) n`;
}
export const sale = (n: number) => ({ id: crypto.randomUUID(), payment: `pi_month_${n}` });

async function warning(shop: Shop, payment: string, minutesAgo: number): Promise<void> {
  await shop.tx`insert into public.fraud_signals (source_id, payment_id, kind, severity, created_at)
    values (${`issfr_${payment}`}, ${payment}, 'early_fraud_warning', 'critical', now() - ${minutesAgo} * interval '1 minute')`;
}

export const ruleStories: Record<string, RuleStory> = {
  webhook_lag: {
    // One of thirty is late, and what was late an hour ago is over.
    quiet: [
      // Four come late, and no other does.
      (shop) => shop.times(4, () => shop.delivery(5, 4_000)),
      // Five of 101, and those of an hour ago.
      async (shop) => {
        await shop.times(96, () => shop.delivery(5, 2));
        await shop.times(5, () => shop.delivery(5, 4_000));
        await shop.times(9, () => shop.delivery(60, 4_000));
      },
    ],
    provoke: (shop) => shop.delivery(1, 300),
  },
  signature_failures: {
    // A stranger tries; Stripe's deliveries fail for another reason, and two for their signature.
    quiet: [async (shop) => {
      await shop
        .tx`insert into private.refused_signatures (noted_at, total) values (now() - interval '10 minutes', 0)`;
      await shop.rejected("invalid_signature", "203.0.113.9", 500);
      await shop.rejected("body_too_large", "3.18.12.63", 50);
      await shop.rejected("invalid_signature", "3.18.12.63", 2);
    }],
    provoke: (shop) => shop.rejected("timestamp_out_of_tolerance", null, 1),
  },
  job_backlog: {
    quiet: [
      // A burst of mails: they wait, and leave one after the other.
      async (shop) => {
        await shop.times(3, () => shop.job("send_mail", 40));
        await shop.tx`insert into private.jobs (kind, dedupe_key, status, finished_at)
          values ('send_mail', 'send_mail:left', 'done', now() - interval '1 minute')`;
      },
      // Due for ten minutes, or held because the provider is down, more of them than are looked at.
      async (shop) => {
        await shop.job("purge", 10);
        await shop
          .tx`insert into private.circuit_breakers (provider, failures, opened_at, open_until)
        values ('mail', 9, now(), now())`;
        await shop.times(1_000, () => shop.job("send_mail", 90));
      },
    ],
    provoke: (shop) => shop.job("purge", 16),
    end: (shop) => shop.tx`delete from private.jobs`,
  },
  scheduler_silent: {
    quiet: [(shop) => shop.heartbeat(600, 70)],
    provoke: (shop) => shop.heartbeat(6, 1),
  },
  checkout_errors: {
    // Four of nine have no page, one of them is a minute old.
    quiet: [async (shop) => {
      await shop.times(6, () => shop.order({ begun: 5 }));
      await shop.times(4, () => shop.order({ begun: 5, session: false }));
      await shop.times(9, () => shop.order({ begun: 1, session: false }));
      await shop.times(9, () => shop.order({ begun: 30, session: false }));
    }],
    provoke: (shop) => shop.times(2, () => shop.order({ begun: 4, session: false })),
  },
  decline_rate: {
    quiet: [
      // Nineteen of nineteen: a small shop.
      async (shop) => {
        await shop.attempts(10, 10, "failed");
        await shop.attempts(9, 10, "failed", { brand: "amex" });
      },
      // Twelve of twenty, of which nobody knows what is usual.
      async (shop) => {
        await shop.attempts(12, 10, "failed");
        await shop.attempts(8, 10, "succeeded");
      },
      // A bank is away.
      async (shop) => {
        for (const brand of ["visa", "jcb"]) {
          await shop.attempts(20, 10, "failed", { brand, code: "issuer_not_available" });
          await shop.attempts(3, 10, "succeeded", { brand });
        }
      },
      // A busy hour with somewhat more refusals than every week at this hour: no chance, and no jump.
      async (shop) => {
        await usualDeclines(shop);
        await shop.attempts(170, 10, "failed");
        await shop.attempts(230, 10, "succeeded");
      },
      // As every week; half of those who were refused pay at the second try.
      async (shop) => {
        await usualDeclines(shop);
        await shop.attempts(20, 30, "failed", { order: "again" });
        await shop.attempts(15, 20, "succeeded", { order: "again" });
        await shop.attempts(15, 20, "succeeded");
      },
    ],
    provoke: async (shop) => {
      for (const brand of ["visa", "amex"]) {
        await shop.attempts(20, 10, "failed", { brand });
        await shop.attempts(4, 10, "succeeded", { brand });
      }
    },
  },
  method_outage: {
    // Half of one brand, and all of another that hardly anybody uses.
    quiet: [async (shop) => {
      await shop.attempts(6, 30, "failed", { brand: "amex" });
      await shop.attempts(8, 30, "succeeded", { brand: "amex" });
      await shop.attempts(5, 30, "failed", { brand: "jcb" });
      await shop.attempts(60, 30, "succeeded");
    }],
    provoke: (shop) => shop.attempts(8, 30, "failed", { brand: "jcb" }),
  },
  order_high_value: {
    // Fourteen times the usual; far more, but sent; a large order of a currency in which nothing is usual.
    quiet: [async (shop) => {
      await shop.usual();
      await shop.order({ paid: 10, amount: 149_000 });
      const sent = await shop.order({ paid: 10, amount: 900_000 });
      await shop.tx`update public.orders set fulfilled_at = now() where id = ${sent.id}`;
      await shop.times(5, (n) => shop.order({ paid: (n + 3) * day, amount: 1_000, currency: "jpy" }));
      await shop.order({ paid: 10, amount: 900_000, currency: "jpy" });
    }],
    provoke: (shop) => shop.order({ paid: 5, amount: 150_000 }),
  },
  order_country_mismatch: {
    // A small present abroad, and a large order at home.
    quiet: [async (shop) => {
      await shop.usual();
      await shop.order({ paid: 10, amount: 79_000, card: "DE" });
      await shop.order({ paid: 10, amount: 90_000 });
    }],
    provoke: (shop) => shop.order({ paid: 5, amount: 80_000, card: "DE" }),
  },
  order_many_pieces: {
    // 29; and more, whose goods had gone: nobody sends them.
    quiet: [async (shop) => {
      await shop.order({ paid: 10, pieces: 29 });
      const { id } = await shop.order({ paid: 10, pieces: 40 });
      await shop.tx`update public.orders set fulfillment_status = 'cancelled' where id = ${id}`;
    }],
    provoke: (shop) => shop.order({ paid: 5, pieces: 30 }),
  },
  refund_spike: {
    quiet: [
      // Five, where there were none.
      async (shop) => shop.refunds(await shop.order({ paid: 40 * day }), 5, 10, 1),
      // Three in two days, and eight today: it happens.
      async (shop) => {
        const order = await shop.order({ paid: 40 * day });
        await shop.refunds(order, 42, day + 10, 950);
        await shop.refunds(order, 8, 10, 1);
      },
      // Ten a day, and 36 after a sale.
      async (shop) => {
        const order = await shop.order({ paid: 40 * day });
        await shop.refunds(order, 280, day + 10, 143);
        await shop.refunds(order, 36, 10, 1);
      },
      // Two a day, and five today.
      async (shop) => {
        const order = await shop.order({ paid: 40 * day });
        await shop.refunds(order, 56, day + 10, 700);
        await shop.refunds(order, 5, 10, 1);
      },
    ],
    provoke: async (shop) => shop.refunds(await shop.order({ paid: 40 * day }), 6, 20, 1),
  },
  refunds_by_one: {
    quiet: [
      // Four a day, and sixteen today: it happens.
      async (shop) => {
        await shop.commands("request_refund", "ada", 112, day + 10, 357);
        await shop.commands("request_refund", "ada", 16, 10);
      },
      // Ten a day, and 36 after a sale.
      async (shop) => {
        await shop.commands("request_refund", "ada", 280, day + 10, 143);
        await shop.commands("cancel_order", "ada", 36, 10);
      },
      // Fourteen of a newcomer, and what he sends.
      async (shop) => {
        await shop.commands("cancel_order", "bob", 14, 10);
        await shop.commands("mark_fulfilled", "bob", 20, 10);
        await shop.commands("request_refund", "ada", 14, 10);
      },
    ],
    provoke: (shop) => shop.commands("request_refund", "bob", 1, 5),
  },
  large_refund: {
    quiet: [async (shop) => {
      await shop.usual();
      const order = await shop.order({ paid: 5 * day, amount: 120_000 });
      await shop.refund(order, 10, 99_000);
    }],
    provoke: async (shop) => {
      const order = await shop.order({ paid: 5 * day, amount: 120_000 });
      await shop.refund(order, 5, 100_000);
    },
  },
  erasure_done: {
    quiet: [(shop) => shop.commands("erase_customer", "ada", 1, 2 * day)],
    provoke: (shop) => shop.commands("erase_customer", "ada", 1, 5),
  },
  stock_leak: {
    // Half an hour, which the sweep has; and a debit that takes days.
    quiet: [async (shop) => {
      await shop.hold(30, "pending");
      await shop.hold(2 * day, "processing");
    }],
    provoke: (shop) => shop.hold(61, "expired"),
    end: (shop) => shop.tx`update public.inventory_reservations set status = 'released'`,
  },
  dispute_ratio: {
    // Ten of a thousand Visa sales; inquiries, other brands and what was settled before do not count.
    quiet: [async (shop) => {
      await monthOfSales(shop);
      await shop.times(5, (n) => shop.dispute(sale(n * 50 + 1), n * 3 * day + 10));
      await shop.times(5, (n) => warning(shop, `pi_month_${n * 50 + 2}`, n * 3 * day + 10));
      await shop.times(
        9,
        (n) => shop.dispute(sale(n * 10 + 3), n * day, n % 2 ? "warning_needs_response" : "prevented"),
      );
      await shop.times(9, (n) => shop.dispute(sale((n + 1) * 10), n * day));
    }],
    provoke: (shop) => warning(shop, "pi_month_501", 20),
  },
  mail_bouncing: {
    // Nine of fifty, four of ten a day earlier.
    quiet: [async (shop) => {
      await shop.times(41, () => shop.mail(60, "sent"));
      await shop.times(9, () => shop.mail(60, "bounced"));
      await shop.times(40, () => shop.mail(60, "queued"));
      await shop.times(10, () => shop.mail(30 * 60, "bounced"));
    }],
    provoke: (shop) => shop.times(2, () => shop.mail(30, "failed")),
  },
  key_mode_changed: {
    quiet: [
      (shop) =>
        shop.tx`insert into private.key_modes (livemode, seen_at) values (true, now() - interval '25 hours')`,
    ],
    provoke: (shop) =>
      shop.tx`update private.key_modes set seen_at = now() - interval '1 hour' where livemode`,
  },
  admin_without_mfa: {
    // A customer; staff with a second factor; somebody who is typing it; a session that nobody uses any more.
    quiet: [async (shop) => {
      await shop.signedIn("customer", "aal1", 60);
      await shop.signedIn("admin", "aal2", 60);
      await shop.signedIn("admin", "aal1", 5);
      await shop.signedIn("admin", "aal1", 2 * day);
    }],
    provoke: (shop) => shop.signedIn("admin", "aal1", 11),
  },
};
