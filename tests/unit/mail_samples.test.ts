/**
 * What every mail says, in every language, as a person can read it. After a change that is meant:
 * `WRITE_MAILS=1 deno task test tests/unit/mail_samples.test.ts`, and look at the difference.
 */
import assert from "node:assert/strict";
import { languages } from "../../supabase/functions/_shared/mails/languages/mod.ts";
import { mailSamples } from "../support/mail_samples.ts";

const expectedFile = new URL("../fixtures/mails.txt", import.meta.url);

Deno.test("every mail says in every language what mails.txt says", async () => {
  const found = Object.keys(languages).flatMap((locale) =>
    Object.entries(mailSamples(locale)).map(([name, { subject, text }]) =>
      `=== ${name} (${locale})\nSubject: ${subject}\n\n${text.replaceAll("\u00a0", " ")}`
    )
  ).join("\n");
  if (Deno.env.get("WRITE_MAILS") === "1") await Deno.writeTextFile(expectedFile, found);
  assert.equal(found, await Deno.readTextFile(expectedFile));
});

Deno.test("HTML and text of a mail say the same", () => {
  for (const locale of Object.keys(languages)) {
    for (const [name, { html, text }] of Object.entries(mailSamples(locale))) {
      const shown = html.replace(/<style[\s\S]*?<\/style>|<[^>]+>/g, " ").replaceAll("&amp;", "&").replace(
        /\s+/g,
        " ",
      );
      const words = text.replace(/https?:\S+/g, "").split(/[\s:]+/).filter((word) =>
        word !== "" && word !== "--"
      );
      const missing = words.filter((word) => !shown.includes(word));
      assert.deepEqual(missing, [], `${name} ${locale}`);
    }
  }
});
