/**
 * The pictures of docs/console: the console over a generated year. By hand, after a change of how it looks:
 * `deno run -A scripts/quality/year/console_pictures.ts` (needs Chromium).
 */
import { join } from "node:path";
import { chromium } from "playwright-core";
import { runTask } from "../../lib/task.ts";
import { ROOT } from "../../lib/paths.ts";
import { startStack } from "../../local/stack.ts";
import { createTestDatabase } from "../../local/test_database.ts";
import { fillYear } from "./year.ts";

const usage = `scripts/quality/year/console_pictures.ts

  Writes docs/console/*.png.`;

const SHOTS = [
  { name: "now", place: "now", width: 1200, height: 860, colorScheme: "light" },
  { name: "charts", place: "charts", width: 1200, height: 860, colorScheme: "dark" },
  { name: "order-phone", place: "", width: 390, height: 860, colorScheme: "light" },
] as const;

if (import.meta.main) Deno.exit(await runTask({ usage, flags: {}, offline: true, run: draw }, Deno.args));

async function draw(): Promise<number> {
  await using database = await createTestDatabase();
  const { sql } = database;
  await fillYear(sql, { orders: 3_000, seed: 1, ends: new Date() });
  await sql`update public.alerts set status = 'resolved' where last_at < now() - interval '20 days'`;
  await sql`update private.settings set value = '"KCT Menswear"' where key = 'shop_name'`;
  const [held] = await sql`select number from public.orders where fulfillment_status = 'on_hold'
    order by created_at desc limit 1`;
  const dir = await Deno.makeTempDir({ prefix: "kct-pictures-" });
  const stack = await startStack({
    dir,
    quiet: true,
    jobs: false,
    web: true,
    warmUp: false,
    databaseUrl: database.url,
  });
  const browser = await chromium.launch({
    executablePath: Deno.env.get("CHROMIUM_PATH") ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  try {
    for (const { name, place, width, height, colorScheme } of SHOTS) {
      const page = await browser.newPage({ viewport: { width, height }, colorScheme });
      await page.goto(`${stack.web_url}/console`);
      await page.getByRole("button", { name: "Sign in as demo staff" }).click();
      await page.getByRole("heading", { name: "Now", exact: true }).waitFor();
      await page.goto(`${stack.web_url}/console#/${place || `orders/${held?.["number"]}`}`);
      await page.locator("main section").first().waitFor();
      await page.locator("main .loading").first().waitFor({ state: "detached" });
      // Every figure has come.
      await page.waitForFunction(
        `[...document.querySelectorAll("main *")].every(({ children, textContent }) =>
          children.length > 0 || textContent.trim() !== "…")`,
      );
      // A chart is drawn once its place has a width.
      if (name === "charts") await page.locator("main canvas").nth(2).waitFor();
      await page.screenshot({ path: join(ROOT, "docs/console", `${name}.png`) });
      console.log(`docs/console/${name}.png`);
      await page.close();
    }
  } finally {
    await browser.close();
    await stack.stop();
    await Deno.remove(dir, { recursive: true });
  }
  return 0;
}
