/** The console in a browser: who gets in, what staff do there, and that everybody can use it. */
/// <reference lib="dom" />
import assert from "node:assert/strict";
import axeCore from "axe-core";
import type { Page } from "playwright-core";
import { totpCode } from "../../scripts/local/gateway/auth/factors.ts";
import { eventually } from "../support/poll.ts";
import { shopFloor } from "./shop_floor.ts";

const { floor, test } = shopFloor();

/** A page of the console, opened by somebody who is not signed in. */
async function opened(width?: number): Promise<Page> {
  const { shopper: { page } } = await floor().visitor(width);
  await page.goto(`${floor().stack.web_url}/console`);
  return page;
}

async function asStaff(width?: number): Promise<Page> {
  const page = await opened(width);
  await page.getByRole("button", { name: "Sign in as demo staff" }).click();
  await page.getByRole("heading", { name: "Now", exact: true }).waitFor();
  return page;
}

async function signIn(page: Page, email: string): Promise<void> {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill("demo-password");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

const goTo = (page: Page, place: string) => page.goto(`${floor().stack.web_url}/console#/${place}`);

/** Orders a shirt over the API; answers its session. */
async function order(): Promise<string> {
  const { functions_url, publishable_key } = floor().stack;
  const response = await fetch(`${functions_url}/create-checkout-session`, {
    method: "POST",
    headers: {
      apikey: publishable_key,
      "content-type": "application/json",
      "idempotency-key": crypto.randomUUID(),
    },
    body: JSON.stringify({ items: [{ sku: "SHIRT-OXF-BLU-M", quantity: 1 }] }),
  });
  const { session_id } = await response.json();
  assert.equal(response.status, 201);
  return session_id;
}

test("console: a new order appears and becomes paid without a reload, and is found by its e-mail", async () => {
  const page = await asStaff();
  await page.getByRole("link", { name: "Orders", exact: true }).click();
  const session = await order();
  const { number } = await floor().orderOf(session);
  const row = page.getByRole("row", { name: new RegExp(number) });
  await row.getByText("pending").waitFor();
  await floor().control("pay", { session, card: "4000000000000259", email: "grace@example.com" });
  await row.getByText("dispute open").waitFor();

  await page.getByLabel(/Number, e-mail/).fill("Grace@Example.com");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByRole("heading", { name: /Orders of .Grace@Example\.com/ }).waitFor();
  await row.getByRole("link", { name: number }).click();
  await page.getByRole("heading", { name: `Order ${number}` }).waitFor();
  const text = () => page.locator("main").innerText();
  await page.getByText("It waits for: dispute open").waitFor();
  await eventually("the confirmation among the order's mails and jobs", async () => {
    const shown = await text();
    return /order confirmation/.test(shown) && /send mail/.test(shown);
  });
  assert.match(await text(), /stock committed[\s\S]*evt_/);
  assert.equal(await page.evaluate(() => localStorage.length), 0, "nothing outlives the tab");

  await page.getByRole("link", { name: /^evt_/ }).first().click();
  await page.getByRole("region", { name: "Payload" }).getByText('"object": "event"').waitFor();

  await goTo(page, "charts");
  await page.getByRole("heading", { name: "Tries to pay, test mode" }).waitFor();
  await page.getByRole("img", { name: /^Chart: Tries to pay, test mode/ }).waitFor();
});

test("console: an article is found by a part of its SKU or name, with its stock over time", async () => {
  const page = await asStaff();
  await page.getByRole("link", { name: "Stock", exact: true }).click();
  const cells = page.getByRole("cell", { name: /^SHIRT-OXF/ });
  for (const text of ["shirt-oxf-wht", 'Oxford "Button', "Oxford%"]) {
    await page.getByLabel("Part of an SKU or a name").fill(text);
    await page.getByRole("button", { name: "Search" }).click();
    await page.waitForURL(/q=/);
    await page.getByRole("row", { name: /^COAT/ }).first().waitFor({ state: "detached" });
    await cells.first().waitFor();
  }
  await cells.getByRole("link").first().click();
  await page.getByRole("img", { name: /^Chart: SHIRT-OXF\S+ in the house/ }).waitFor();
  await page.locator("canvas").waitFor();
  await page.getByText("Figures").click();
  await page.getByRole("table", { name: /in the house$/ }).getByRole("cell", { name: /^\d{4}-/ }).first()
    .waitFor();
});

test("console: a dead job is redriven once it is confirmed, in the name of who did it", async () => {
  const { sql } = floor().stack;
  const [job] = await sql<{ id: number }[]>`
    insert into private.jobs (kind, dedupe_key, status, attempts, finished_at, last_error)
    values ('purge', gen_random_uuid()::text, 'dead', 3, now(), 'the cause of it') returning id::int`;
  const page = await asStaff();
  await page.getByRole("link", { name: /^Jobs/ }).click();
  await page.getByRole("link", { name: "Show them" }).click();
  await page.getByRole("button", { name: `Redrive job ${job?.id}` }).click();
  const question = page.getByRole("dialog");
  await question.getByRole("button", { name: "Cancel" }).click();
  assert.equal((await sql`select 1 from public.staff_commands where command = 'redrive_job'`).length, 0);

  await page.getByRole("button", { name: `Redrive job ${job?.id}` }).click();
  await question.getByRole("button", { name: "Redrive" }).click();
  await page.getByRole("status").getByText(`Job ${job?.id} is queued again.`).waitFor();
  const log = await sql`select actor, args from public.staff_commands where command = 'redrive_job'`;
  assert.equal(log.length, 1);
  assert.equal(log[0]?.["actor"], "00000000-0000-4000-8000-000000000002", "the demo staff's account");
  await eventually("the job to be done", async () => {
    const [row] = await sql`select status from private.jobs where id = ${job?.id ?? 0}`;
    return row?.["status"] === "done";
  });
  await page.getByText("No job.").waitFor();
});

test("console: an alert leads to its runbook, is acknowledged and resolved, and a refusal says why", async () => {
  const { sql } = floor().stack;
  await sql`select private.raise_alert('oversold', 'critical', 'oversold:console', '{"sku": "X"}')`;
  const page = await asStaff();
  await page.getByRole("link", { name: /^Alerts/ }).click();
  const row = page.getByRole("row", { name: /oversold/ });
  await row.getByRole("link", { name: "Runbook" }).click();
  await page.getByRole("listitem").getByText("What happened.").waitFor();
  await page.goBack();
  await row.getByRole("button", { name: "Acknowledge alert oversold" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Acknowledge" }).click();
  await row.getByText("acknowledged").waitFor();

  await row.getByRole("button", { name: "Resolve alert oversold" }).click();
  await page.getByLabel(/^Note/).fill("counted");
  await sql`alter table public.alerts rename to alerts_gone`;
  await page.getByRole("dialog").getByRole("button", { name: "Resolve" }).click();
  await page.getByRole("dialog").getByRole("alert").getByText("alerts").waitFor();
  await sql`alter table public.alerts_gone rename to alerts`;
  await page.getByRole("dialog").getByRole("button", { name: "Resolve" }).click();
  await page.getByRole("status").getByText("The alert is resolved.").waitFor();
  const [alert] = await sql`select status from public.alerts where dedupe_key = 'oversold:console'`;
  assert.equal(alert?.["status"], "resolved");
  const [command] = await sql`select args from public.staff_commands where command = 'resolve_alert'`;
  assert.equal(command?.["args"]["note"], "counted");
});

test("console: a customer who signs in is shown the way out, and nothing of the shop", async () => {
  const page = await opened();
  await signIn(page, "nobody@example.com");
  await page.getByRole("alert").getByText("Invalid login credentials").waitFor();
  await signIn(page, "shopper@example.com");
  await page.getByRole("heading", { name: "Not for this account" }).waitFor();
  await goTo(page, "orders");
  assert.equal(await page.getByRole("table").count(), 0);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
});

test("console: where a second factor is required, staff set one up and are asked for it from then on", async () => {
  const { sql } = floor().stack;
  const require = (value: boolean) =>
    sql`update private.settings set value = ${sql.json(value)} where key = 'admin_require_mfa'`;
  await require(true);
  try {
    const page = await opened();
    await signIn(page, "admin@example.com");
    await page.getByRole("heading", { name: "A second factor is required" }).waitFor();
    assert.equal(await page.getByRole("table").count(), 0);
    const setUp = page.getByRole("button", { name: "Set up an authenticator" });
    await setUp.click();
    await page.getByLabel("Code of your authenticator").waitFor();
    // Whoever has begun and looked away begins again.
    await page.reload();
    await setUp.click();
    const secret = await page.locator("code").innerText();
    const confirm = async () => {
      await page.getByLabel("Code of your authenticator").fill(
        totpCode(secret, Math.floor(Date.now() / 30_000)),
      );
      await page.getByRole("button", { name: "Confirm" }).click();
      await page.getByRole("heading", { name: "Now", exact: true }).waitFor();
    };
    await confirm();
    await page.getByRole("link", { name: "Account" }).click();
    await page.getByText("set up", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await signIn(page, "admin@example.com");
    await page.getByRole("heading", { name: "Second factor" }).waitFor();
    await page.getByLabel("Code of your authenticator").fill("abcdef");
    await page.getByRole("button", { name: "Confirm" }).click();
    await page.getByRole("alert").getByText("Invalid TOTP code").waitFor();
    await confirm();
  } finally {
    await require(false);
    await sql`delete from auth.mfa_factors`;
  }
});

/** Every kind of page, with something on it. */
async function places(): Promise<string[]> {
  const { sql } = floor().stack;
  const session = await order();
  await floor().control("pay", { session, card: "4000000000000259", email: "ada@example.com" });
  const { number } = await floor().untilOrder(session, "paid");
  const [event] = await sql`select id from public.webhook_events limit 1`;
  await sql`select private.raise_alert('review', 'warning', 'review:console', '{"order_number": "KCT-1"}')`;
  await sql`insert into private.jobs (kind, dedupe_key, status, finished_at, last_error)
    values ('purge', gen_random_uuid()::text, 'dead', now(), repeat('a long reason ', 30))`;
  return [
    "now",
    "orders",
    `orders/${number}`,
    "webhooks",
    `webhooks/${event?.["id"]}`,
    "jobs",
    "alerts",
    "runbook/review",
    "disputes",
    "mails",
    "stock?q=shirt",
    "stock/SHIRT-OXF-BLU-M",
    "charts",
    "account",
    "nowhere",
  ];
}

/** What depends on colours and sizes; the rest of axe's rules are about the document, and that is the same. */
const OF_LOOKS = ["color-contrast", "link-in-text-block", "target-size", "scrollable-region-focusable"];

async function findings(page: Page, where: string, rules: string[] | null): Promise<string[]> {
  const { violations } = await page.evaluate(
    (only) =>
      globalThis.axe.run(document, {
        resultTypes: ["violations"],
        ...(only === null ? {} : { runOnly: { type: "rule", values: only } }),
      }),
    rules,
  );
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  return [
    ...violations.map(({ id, nodes }) => `${where}: ${id}: ${nodes.map((node) => node.html).slice(0, 3)}`),
    ...(wide > 0 ? [`${where}: is ${wide} pixels too wide`] : []),
  ];
}

declare global {
  /** As axe-core's own script leaves it in a page. */
  var axe: typeof axeCore;
}

test("console: axe finds nothing on any page, light and dark, on a phone and a desk, and nothing is cut off", async () => {
  const found: string[] = [];
  const look = async (page: Page, where: string) => {
    for (const [width, colorScheme, rules] of [[1280, "light", null], [360, "dark", OF_LOOKS]] as const) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      found.push(...await findings(page, `${where} ${width} ${colorScheme}`, rules));
    }
  };
  const door = await opened();
  await door.evaluate(axeCore.source);
  await door.getByRole("button", { name: "Sign in as demo staff" }).waitFor();
  await look(door, "door");
  const page = await asStaff();
  await page.evaluate(axeCore.source);
  for (const place of await places()) {
    await goTo(page, place);
    await page.locator("main h1").waitFor();
    await page.locator("[aria-busy=true], .loading").first().waitFor({ state: "detached" });
    await look(page, place);
  }
  await page.getByRole("link", { name: /^Jobs/ }).click();
  await page.getByRole("button", { name: /^Redrive job/ }).first().click();
  await page.getByRole("dialog").waitFor();
  await look(page, "question");
  assert.deepEqual(found, []);
});

test("console: the keyboard reaches the content past the navigation, and a page begins at its top", async () => {
  const page = await asStaff();
  await page.reload();
  await page.getByRole("heading", { name: "Now", exact: true }).waitFor();
  const focused = () =>
    page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent);
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Skip to content");
  await page.keyboard.press("Enter");
  assert.equal(await focused(), "main");
  await page.getByRole("link", { name: "Stock", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Stock", exact: true, level: 1 }).waitFor();
  await eventually("the focus to be on the page", async () => await focused() === "main");
});
