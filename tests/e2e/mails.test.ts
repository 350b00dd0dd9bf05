/** Every mail in every language on the screens it is read on. What it looks like is for people: see mail_gallery.ts. */
/// <reference lib="dom" />
import assert from "node:assert/strict";
import { languages } from "../../supabase/functions/_shared/mails/languages/mod.ts";
import { mailSamples } from "../support/mail_samples.ts";
import { TestBrowser, withoutBrowser } from "./browser.ts";
import { mailPage, type Scheme } from "./mail_pages.ts";

const ignore = withoutBrowser();
const samples = Object.keys(languages).flatMap((locale) =>
  Object.entries(mailSamples(locale)).map(([name, { html }]) => ({ name: `${name} ${locale}`, html }))
);

Deno.test({
  name: "every mail fits a narrow phone: nothing has to be scrolled sideways, nothing is cut off",
  ignore,
  async fn() {
    await using browser = await TestBrowser.launch();
    const page = await mailPage(browser, 320, "light");
    for (const { name, html } of samples) {
      await page.setContent(html);
      const [needed, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.equal(needed, shown, name);
    }
  },
});

/** The least contrast of a page's texts with what is behind them, and the text that has it (WCAG 2). */
function leastContrast(): [ratio: number, text: string] {
  const parts = (color: string) => (color.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (color: string) => {
    const [red = 0, green = 0, blue = 0] = parts(color).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const background = (element: Element | null): string => {
    if (element === null) return "rgb(255, 255, 255)";
    const { backgroundColor } = getComputedStyle(element);
    return parts(backgroundColor)[3] === 0 ? background(element.parentElement) : backgroundColor;
  };
  const found: [number, string][] = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) =>
      node.nodeType === 3 && node.textContent?.trim() !== ""
    );
    if (!own || getComputedStyle(element).display === "none") continue;
    const pair = [luminance(getComputedStyle(element).color), luminance(background(element))].sort((a, b) =>
      b - a
    );
    found.push([((pair[0] ?? 0) + 0.05) / ((pair[1] ?? 0) + 0.05), element.textContent ?? ""]);
  }
  return found.sort(([a], [b]) => a - b)[0] ?? [0, "no text at all"];
}

for (const scheme of ["light", "dark"] satisfies Scheme[]) {
  Deno.test({
    name: `every text of every mail can be read in the ${scheme} scheme`,
    ignore,
    async fn() {
      await using browser = await TestBrowser.launch();
      const page = await mailPage(browser, 600, scheme);
      for (const { name, html } of samples) {
        await page.setContent(html);
        const [ratio, text] = await page.evaluate(leastContrast);
        assert(ratio >= 4.5, `${name}: ${ratio.toFixed(1)} for ${text}`);
      }
    },
  });
}
