import assert from "node:assert/strict";
import { resumeLink } from "../../supabase/functions/_shared/checkout/resume_link.ts";
import { eventually } from "../support/poll.ts";
import { type TestStack, testStack } from "../support/stack.ts";
import { TestBrowser, withoutBrowser } from "./browser.ts";
import { PaymentPage } from "./payment_page.ts";
import { Shopper } from "./shopper.ts";

const linkSigningSecret = `e2e-${crypto.randomUUID()}`;

/** An order as the tests look at it. */
export interface OrderRow {
  id: string;
  number: string;
  status: string;
  amount_total: number;
  amount_paid: number;
  currency: string;
}

/** A stack with the demo store, a browser, and a way to look behind the counter. */
class ShopFloor implements AsyncDisposable {
  private constructor(readonly stack: TestStack, readonly browser: TestBrowser) {}

  static async open(): Promise<ShopFloor> {
    const env = { LINK_SIGNING_SECRET: linkSigningSecret };
    const stack = await testStack({ env, web: true, jobs: true });
    try {
      // It would fetch within a minute, in the middle of some test, the very events that the test holds back.
      await stack.sql`update private.periodic_jobs set next_at = 'infinity' where kind like 'reconcile%'`;
      return new ShopFloor(stack, await TestBrowser.launch());
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  /** A new visitor with an empty bag. */
  async visitor(width?: number): Promise<{ shopper: Shopper; payment: PaymentPage }> {
    const page = await this.browser.newShopper(width);
    return { shopper: new Shopper(page, this.stack.web_url), payment: new PaymentPage(page) };
  }

  async orderOf(sessionId: string): Promise<OrderRow> {
    const rows = await this.stack.sql<OrderRow[]>`
      select o.id, o.number, o.status, o.amount_total::int, o.amount_paid::int, o.currency
      from public.orders o join public.checkout_sessions s on s.order_id = o.id where s.id = ${sessionId}`;
    assert.ok(rows[0], `no order for ${sessionId}`);
    return rows[0];
  }

  async orderCount(): Promise<number> {
    const rows = await this.stack.sql<{ count: number }[]>`select count(*)::int as count from public.orders`;
    return rows[0]?.count ?? 0;
  }

  async stockOf(sku: string): Promise<{ on_hand: number; reserved: number; available: number }> {
    const rows = await this.stack.sql<{ on_hand: number; reserved: number; available: number }[]>`
      select l.on_hand, l.reserved, l.available from public.inventory_levels l
      join public.product_variants v on v.id = l.variant_id where v.sku = ${sku}`;
    assert.ok(rows[0], `no stock of ${sku}`);
    return rows[0];
  }

  /** The pieces of a session's order: sku and quantity, by sku. */
  async linesOf(sessionId: string): Promise<[string, number][]> {
    const lines = await this.stack.sql<{ sku: string; quantity: number }[]>`
      select i.sku, i.quantity from public.order_items i
      join public.checkout_sessions s on s.order_id = i.order_id
      where s.id = ${sessionId} order by i.sku collate "C"`;
    return lines.map(({ sku, quantity }) => [sku, quantity]);
  }

  /** Types and outcomes of the stored events that speak of this session, oldest first. */
  async eventsOf(sessionId: string): Promise<{ type: string; status: string }[]> {
    return await this.stack.sql<{ type: string; status: string }[]>`
      select type, status from public.webhook_events
      where payload -> 'data' -> 'object' ->> 'id' = ${sessionId} order by stripe_created_at`;
  }

  async auditTrail(orderId: string): Promise<string[]> {
    const rows = await this.stack.sql<{ kind: string }[]>`
      select kind from public.order_events where order_id = ${orderId} order by id`;
    return rows.map((row) => row.kind);
  }

  /** Waits until the order has this status, however it gets there. */
  async untilOrder(sessionId: string, status: string): Promise<OrderRow> {
    return await eventually(`order of ${sessionId} to be ${status}`, async () => {
      const order = await this.orderOf(sessionId);
      return order.status === status && order;
    });
  }

  /** Calls the stand-in's control API, which must agree. */
  async control(call: string, body: unknown): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.stack.stripe_url}/_control/${call}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    assert.equal(response.status, 200, JSON.stringify(answer));
    return answer;
  }

  /** What the links of its mails are signed with. */
  readonly linkSigningSecret = linkSigningSecret;

  /** The link to an unpaid order that a mail to its buyer would carry. */
  async linkBackTo(orderId: string): Promise<string> {
    return await resumeLink(orderId, { linkSigningSecret, supabaseUrl: this.stack.api_url }, Date.now());
  }

  /** Ends a session as Stripe does when its time is up. */
  async expire(sessionId: string): Promise<void> {
    const response = await fetch(`${this.stack.stripe_url}/v1/checkout/sessions/${sessionId}/expire`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.stack.stripe_secret_key}` },
    });
    assert.equal(response.status, 200, await response.text());
  }

  /** Sets the stand-in's faults, or clears them with null. */
  async faults(faults: unknown): Promise<void> {
    const response = await fetch(`${this.stack.stripe_url}/_control/faults`, {
      method: faults === null ? "DELETE" : "POST",
      headers: { "content-type": "application/json" },
      ...(faults === null ? {} : { body: JSON.stringify(faults) }),
    });
    assert.ok(response.ok, await response.text());
  }

  /** Runs `work` while the jobs believe that Stripe is down: none that needs it starts. */
  async whileJobsWait(work: () => Promise<void>): Promise<void> {
    await this.stack.sql`
      insert into private.circuit_breakers (provider, opened_at, open_until)
      values ('stripe', now(), now() + interval '1 hour')
      on conflict (provider) do update set opened_at = excluded.opened_at, open_until = excluded.open_until`;
    try {
      await work();
    } finally {
      await this.stack.sql`delete from private.circuit_breakers where provider = 'stripe'`;
    }
  }

  /** Runs `work` while no event arrives. */
  async whileUnheard(work: () => Promise<void>): Promise<void> {
    await this.faults({ deliver: { drop: 1 } });
    try {
      await work();
    } finally {
      await this.faults(null);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser[Symbol.asyncDispose]();
    await this.stack.stop();
  }
}

/**
 * Opens one shop floor for the tests of a file. `test` declares a browser test: it is left out where there is no
 * browser, and fails when a page had an uncaught error or blocked content meanwhile.
 */
export function shopFloor(): { floor(): ShopFloor; test(name: string, fn: () => Promise<void>): void } {
  const ignore = withoutBrowser();
  let opened: ShopFloor | null = null;
  const floor = (): ShopFloor => {
    if (opened === null) throw new Error("the shop floor opens before the first test");
    return opened;
  };
  if (!ignore) {
    Deno.test.beforeAll(async () => {
      opened = await ShopFloor.open();
    });
    Deno.test.afterAll(async () => {
      await opened?.[Symbol.asyncDispose]();
    });
  }
  const test = (name: string, fn: () => Promise<void>) => {
    const checked = async () => {
      try {
        await fn();
        assert.deepEqual(floor().browser.problems, []);
      } finally {
        await floor().browser.closePages();
        floor().browser.problems.length = 0;
      }
    };
    // The stack and the browser outlive each test on purpose.
    Deno.test({ name, fn: checked, ignore, sanitizeOps: false, sanitizeResources: false });
  };
  return { floor, test };
}
