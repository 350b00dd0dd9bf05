/**
 * Draws every mail in every language at the width of a phone and of a desk, light and dark:
 * `deno run -A tests/e2e/mail_gallery.ts FOLDER [NAME…]`. docs/mails holds some of them.
 */
import { languages } from "../../supabase/functions/_shared/mails/languages/mod.ts";
import { mailSamples } from "../support/mail_samples.ts";
import { TestBrowser } from "./browser.ts";
import { mailPage, type Scheme } from "./mail_pages.ts";

const [folder, ...names] = Deno.args;
if (folder === undefined) {
  throw new Error("say where to: deno run -A tests/e2e/mail_gallery.ts FOLDER [NAME…]");
}
await Deno.mkdir(folder, { recursive: true });
await using browser = await TestBrowser.launch();
for (const width of [360, 800]) {
  for (const scheme of ["light", "dark"] satisfies Scheme[]) {
    const page = await mailPage(browser, width, scheme);
    for (const locale of Object.keys(languages)) {
      for (const [name, { html }] of Object.entries(mailSamples(locale))) {
        const file = `${name}.${locale}.${width}.${scheme}`;
        if (names.length > 0 && !names.some((wanted) => file.startsWith(wanted))) continue;
        await page.setContent(html);
        await page.screenshot({ path: `${folder}/${file}.jpg`, type: "jpeg", quality: 60, fullPage: true });
      }
    }
  }
}
