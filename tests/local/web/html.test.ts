import assert from "node:assert/strict";
import { html } from "../../../scripts/stand-in/http/html.ts";
import { money, table, text } from "../../../scripts/local/web/console/cells.ts";
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

Deno.test("table() of the console escapes whatever the database holds", () => {
  const markup = table("Rows", [text("Name", "name")], [{ name: "<img src=x>" }], "none").text;
  assert.match(markup, /&lt;img src=x&gt;/);
  assert.doesNotMatch(markup, /<img/);
});

Deno.test("money() reads minor units as the currency has them", () => {
  assert.equal(money(12900, "usd"), "$129.00");
  assert.equal(money("12900", "jpy"), "¥12,900");
  assert.equal(money(1299000, "isk").replace(/\s/, " "), "ISK 12,990");
  assert.equal(money(1299000, "rsd").replace(/\s/, " "), "RSD 12,990.00");
  assert.equal(money(1, null), "1");
  assert.equal(money(null, "usd"), "–");
});

Deno.test("timeOf() shows UTC, and what is no time as it is", () => {
  assert.match(timeOf(new Date(0)).text, />1970-01-01 00:00:00 UTC</);
  assert.equal(timeOf("<soon>").text, "&lt;soon&gt;");
  assert.equal(timeOf(null).text, "–");
});
