/**
 * The pictures of docs/reporting: what questions of supabase/snippets answer over a generated year, as tables. By
 * hand, after a change of a view: `deno run -A scripts/quality/year/pictures.ts` (needs Chromium).
 */
import { join } from "node:path";
import { chromium } from "playwright-core";
import { runTask } from "../../lib/task.ts";
import { ROOT } from "../../lib/paths.ts";
import { createTestDatabase } from "../../local/test_database.ts";
import { fillYear } from "./year.ts";

const usage = `scripts/quality/year/pictures.ts

  Writes docs/reporting/*.png.`;
const shown = [
  "orders-to-pack",
  "orders-that-wait-for-me",
  "find-an-order",
  "sales-by-day",
  "disputes-due",
  "open-alerts",
];
const rowsMax = 6;

if (import.meta.main) Deno.exit(await runTask({ usage, flags: {}, offline: true, run: draw }, Deno.args));

async function draw(): Promise<number> {
  await using database = await createTestDatabase();
  const { sql } = database;
  await fillYear(sql, { orders: 3_000, seed: 1, ends: new Date() });
  await sql`update public.orders set email = 'ada@example.com', customer_name = 'Ada Lovelace',
    shipping_name = 'Ada Lovelace' where number in (select number from public.orders
      where fulfillment_status = 'fulfilled' order by created_at desc limit 2)`;
  // Somebody has looked at what is old: so that what is open is of many kinds.
  await sql`update public.alerts set status = 'resolved' where last_at < now() - interval '20 days'`;
  const browser = await chromium.launch({
    executablePath: Deno.env.get("CHROMIUM_PATH") ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1200, height: 400 } });
    for (const name of shown) {
      const text = await Deno.readTextFile(join(ROOT, "supabase/snippets", `${name}.sql`));
      await page.setContent(htmlOf(text, await sql.unsafe(text)));
      await page.locator("main").screenshot({ path: join(ROOT, "docs/reporting", `${name}.png`) });
      console.log(`docs/reporting/${name}.png`);
    }
  } finally {
    await browser.close();
  }
  return 0;
}

function htmlOf(question: string, rows: Record<string, unknown>[]): string {
  const names = Object.keys(rows[0] ?? {}).slice(0, 12);
  const cells = (tag: string, values: string[]) =>
    `<tr>${values.map((value) => `<${tag}>${value}</${tag}>`).join("")}</tr>`;
  const lines = rows.slice(0, rowsMax).map((row) =>
    cells("td", names.map((name) => escaped(shownAs(row[name]))))
  );
  return `<style>
    body { margin: 0; font: 12px/1.35 system-ui, sans-serif; color: #1c1c1e } main { padding: 12px; width: max-content }
    pre { margin: 0 0 8px; color: #555 } table { border-collapse: collapse }
    th, td { border: 1px solid #d0d0d4; padding: 3px 7px; text-align: left; vertical-align: top; white-space: pre }
    th { background: #f2f2f4 }
    </style><main><pre>${escaped(question.trim())}</pre><table>${cells("th", names)}${
    lines.join("")
  }</table></main>`;
}

function shownAs(value: unknown): string {
  if (value === null) return "NULL";
  if (value instanceof Date) return value.toISOString().slice(0, 16).replace("T", " ").replace(" 00:00", "");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
