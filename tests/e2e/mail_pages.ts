/** Mails as a mail program shows them: a browser without scripts, without network, on a screen of some width. */
import type { Page } from "playwright-core";
import type { TestBrowser } from "./browser.ts";

export type Scheme = "light" | "dark";

const swatch = (color: string) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="80"><rect width="64" height="80" fill="${color}" stroke="#8e8e93"/></svg>`;

/** A page that shows mails; pictures of the samples are drawn here, everything else of the web is not there. */
export async function mailPage(browser: TestBrowser, width: number, scheme: Scheme): Promise<Page> {
  const page = await browser.newShopper(width);
  await page.setViewportSize({ width, height: 300 });
  await page.emulateMedia({ colorScheme: scheme });
  await page.route("**", (route) => {
    const url = new URL(route.request().url());
    return url.pathname === "/images/sample.png"
      ? route.fulfill({ contentType: "image/svg+xml", body: swatch(url.searchParams.get("color") ?? "grey") })
      : route.abort();
  });
  return page;
}
