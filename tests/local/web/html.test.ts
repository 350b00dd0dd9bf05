import assert from "node:assert/strict";
import { html } from "../../../scripts/stand-in/http/html.ts";
import { timeOf } from "../../../scripts/local/web/time.ts";

Deno.test("html`` escapes values in text and attributes and keeps nested markup", () => {
  const value = `<b a="1" c='2'>&`;
  const markup = html`<p title="${value}">${value} ${html`<i>kept</i>`} ${[
    1,
    null,
    false,
    undefined,
    "<",
  ]}</p>`;
  const escaped = "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;";
  assert.equal(markup.text, `<p title="${escaped}">${escaped} <i>kept</i> 1&lt;</p>`);
});

Deno.test("timeOf() shows UTC, and what is no time as it is", () => {
  assert.match(timeOf(new Date(0)).text, />1970-01-01 00:00:00 UTC</);
  assert.equal(timeOf("<soon>").text, "&lt;soon&gt;");
  assert.equal(timeOf(null).text, "–");
});
