/** What the console works out by itself: addresses, words, sums, series and entries of the runbook. */
import assert from "node:assert/strict";
import { billOf, fromNow, money, toneOf, urgency } from "../../scripts/lib/console/app/format.ts";
import { linkTo, parseRoute } from "../../scripts/lib/console/app/route.ts";
import { entryOf } from "../../scripts/lib/console/app/runbook.ts";
import { allRowsOf } from "../../scripts/lib/console/app/backend.ts";
import { byDay, byHour, carried, todayIn } from "../../scripts/lib/console/app/series.ts";

Deno.test("parseRoute() reads what linkTo() writes, whatever stands in it", () => {
  const places: [string, string, Record<string, string>][] = [
    ["orders", "", { q: "ada@example.com", status: "paid" }],
    ["orders", "KCT-1", {}],
    ["stock", "A/B?c=d#e%", { page: "2" }],
    ["jobs", "", { q: "50 % & more" }],
  ];
  for (const [page, id, filters] of places) {
    assert.deepEqual(parseRoute(linkTo(page, id, filters)), { page, id, filters });
  }
  assert.equal(linkTo("orders", "", { q: "", status: "paid" }), "#/orders?status=paid");
  assert.deepEqual(parseRoute(""), { page: "now", id: "", filters: {} });
  assert.equal(parseRoute("#/orders/100%").id, "100%", "typed by hand");
});

Deno.test("money() reads minor units as the currency has them", () => {
  const shown = (amount: number | null, currency: string | null) =>
    money(amount, currency).replace(/\s/, " ");
  assert.equal(shown(12900, "usd"), "$129.00");
  assert.equal(shown(12900, "jpy"), "¥12,900");
  assert.equal(shown(1299000, "isk"), "ISK 12,990");
  assert.equal(shown(1, null), "1");
  assert.equal(shown(null, "usd"), "–");
});

Deno.test("billOf() adds up, and says whether tax is part of the sum", () => {
  const order = {
    currency: "usd",
    amount_subtotal: 10000,
    amount_discount: 1000,
    amount_shipping: 500,
    amount_tax: 760,
    amount_paid: 9500,
    amount_refunded: 0,
  };
  const shown = (amount_total: number) => billOf({ ...order, amount_total }).map((line) => line.join(" "));
  assert.deepEqual(shown(9500), [
    "Goods $100.00",
    "Discount -$10.00",
    "Shipping $5.00",
    "Total $95.00",
    "Includes tax $7.60",
    "Paid $95.00",
    "Refunded $0.00",
  ]);
  assert.deepEqual(shown(10260).slice(1, 5), [
    "Discount -$10.00",
    "Shipping $5.00",
    "Tax $7.60",
    "Total $102.60",
  ]);
});

Deno.test("fromNow() and urgency() count from the given moment", () => {
  const now = Date.parse("2026-11-27T12:00:00Z");
  const at = (seconds: number) => new Date(now + seconds * 1000).toISOString();
  assert.deepEqual(
    [0, -59, 30, -60, -7200, 86_400 * 3 + 5].map((seconds) => fromNow(at(seconds), now)),
    ["just now", "just now", "in a moment", "1 minute ago", "2 hours ago", "in 3 days"],
  );
  assert.deepEqual(
    [at(-1), at(86_400), at(3 * 86_400), at(8 * 86_400), null].map((time) => urgency(time, now)),
    ["bad", "bad", "warn", "plain", "plain"],
  );
  assert.deepEqual(["paid", "dead", "on_hold", "a_new_word"].map(toneOf), ["good", "bad", "warn", "plain"]);
});

Deno.test("byDay() adds up the rows of a day, and has 0 where there is none", () => {
  const { times, lines } = byDay(
    [{ day: "2026-11-25", n: 2 }, { day: "2026-11-25", n: 3 }, { day: "2026-11-01", n: 9 }],
    "2026-11-27",
    4,
    [{ label: "n", color: 1, of: (row) => row.n }],
  );
  assert.deepEqual(times.map((time) => new Date(time * 1000).toISOString().slice(8, 10)), [
    "24",
    "25",
    "26",
    "27",
  ]);
  assert.deepEqual(lines[0]?.values, [0, 5, 0, 0]);
});

Deno.test("carried() keeps a level over days without a move, and the last of a day with several", () => {
  const { lines } = carried(
    [{ day: "2026-11-25", value: 7 }, { day: "2026-11-27", value: 5 }, { day: "2026-11-27", value: 4 }],
    "2026-11-27",
    4,
    { label: "level", color: 1 },
  );
  assert.deepEqual(lines[0]?.values, [null, 7, 7, 4]);
});

Deno.test("byHour() shows a week at least, with gaps, and nothing of nothing", () => {
  const line = { label: "lag", color: 1 as const, of: (row: { hour: string; lag: number }) => row.lag };
  const { times, lines } = byHour(
    [{ hour: "2026-11-27T10:00:00Z", lag: 1 }, { hour: "2026-11-27T12:00:00Z", lag: 3 }],
    "UTC",
    [line],
  );
  assert.equal(times.length, 168);
  assert.deepEqual(lines[0]?.values.slice(-4), [null, 1, null, 3]);
  assert.deepEqual(byHour([], "UTC", [line]).times, []);
});

Deno.test("todayIn() is the day in the shop's time zone", () => {
  const now = Date.parse("2026-11-27T02:00:00Z");
  assert.deepEqual(["UTC", "America/New_York"].map((zone) => todayIn(zone, now)), [
    "2026-11-27",
    "2026-11-26",
  ]);
});

Deno.test("entryOf() finds every entry of the runbook, with its four points and no markup left", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/runbook.md", import.meta.url));
  const kinds = [...page.matchAll(/^### (\w+)$/gm)].map(([, kind = ""]) => kind);
  assert(kinds.length > 20);
  for (const kind of kinds) {
    const blocks = entryOf(page, kind) ?? [];
    assert.deepEqual(
      blocks.slice(0, 4).map(({ kind, spans }) => [kind, spans[0]?.text]),
      ["What happened.", "Done already.", "Do.", "Over when."].map((text) => ["point", text]),
      kind,
    );
    const text = blocks.flatMap(({ spans }) => spans.map((span) => span.text)).join("");
    assert.doesNotMatch(text, /\*\*|`|\]\(|^#/, kind);
  }
  assert.equal(entryOf(page, "no_such_kind"), null);
});

Deno.test("allRowsOf() reads on where the API cuts an answer short, whatever its limit", async () => {
  const stored = Array.from({ length: 2_345 }, (_, at) => at);
  const api = (limit: number) => (from: number, to: number) =>
    Promise.resolve({ data: stored.slice(from, Math.min(to + 1, from + limit)), error: null });
  for (const limit of [100, 1_000, 5_000]) assert.deepEqual(await allRowsOf(api(limit)), stored);
  const refused = () => Promise.resolve({ data: null, error: { message: "no" } });
  await assert.rejects(allRowsOf(refused), /no/);
});
