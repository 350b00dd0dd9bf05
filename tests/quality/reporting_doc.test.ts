/**
 * docs/reporting.md describes the views of schema reporting column by column, in the words of the catalogue's
 * comments. After a change: `WRITE_REPORTING=1 deno task test tests/quality/reporting_doc.test.ts` and `deno fmt docs`.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { ROOT } from "../../scripts/lib/paths.ts";

const path = join(ROOT, "docs/reporting.md");
const start = "<!-- views -->", end = "<!-- end of views -->";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

interface Column {
  view: string;
  about: string;
  column: string;
  comment: string | null;
}

const columns = await sql<Column[]>`
  select c.relname as view, obj_description(c.oid, 'pg_class') as about, a.attname as column,
    col_description(c.oid, a.attnum) as comment
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
  where c.relnamespace = 'reporting'::regnamespace and c.relkind = 'v'
  order by 1, a.attnum`;

function described(): string {
  const views = Map.groupBy(columns, ({ view }) => view);
  return [...views].map(([view, own]) =>
    [
      `### ${view}`,
      own[0]?.about,
      ["| column | meaning |", "| --- | --- |", ...own.map((row) => `| \`${row.column}\` | ${row.comment} |`)]
        .join("\n"),
    ].join("\n\n")
  ).join("\n\n");
}

/** As the formatter may wrap and pad it. */
function plain(text: string): string {
  return text.replaceAll(/\| -+ \| -+ \|/g, "").replaceAll(/-{3,}/g, "").replaceAll(/[\s|]+/g, " ").trim();
}

Deno.test("every column of schema reporting says what it is", () => {
  assert.deepEqual(
    columns.filter(({ comment }) => comment === null).map(({ view, column }) => `${view}.${column}`),
    [],
  );
});

Deno.test("docs/reporting.md has every view and column, in the words of their comments", async () => {
  const page = await Deno.readTextFile(path);
  const from = page.indexOf(start) + start.length, to = page.indexOf(end);
  assert(from > start.length && to > from, "the page marks where the views stand");
  if (Deno.env.get("WRITE_REPORTING") === "1") {
    await Deno.writeTextFile(path, `${page.slice(0, from)}\n\n${described()}\n\n${page.slice(to)}`);
  }
  const now = await Deno.readTextFile(path);
  assert.equal(plain(now.slice(now.indexOf(start) + start.length, now.indexOf(end))), plain(described()));
});

Deno.test("every alert that the database raises, and every one that docs/runbook.md names, says what to do", async () => {
  const sources = await sql<{ kind: string }[]>`
    select distinct m[1] as kind from pg_proc p, regexp_matches(p.prosrc, 'raise_alert(?:_once)?\\(\\s*''(\\w+)''', 'g') m
    where p.pronamespace = 'private'::regnamespace or p.pronamespace = 'public'::regnamespace`;
  const runbook = await Deno.readTextFile(join(ROOT, "docs/runbook.md"));
  const documented = [...runbook.matchAll(/^### (\w+)$/gm)].map(([, kind = ""]) => kind);
  assert(sources.length > 15 && documented.length > 15, "both are read");
  const [view] = await sql`select pg_get_viewdef('reporting.open_alerts'::regclass) as text`;
  const kinds = new Set([...sources.map(({ kind }) => kind), ...documented]);
  assert.deepEqual(
    [...kinds].filter((kind) => !String(view?.["text"]).includes(`'${kind}'::text`)).sort(),
    [],
  );
});

Deno.test("every reason that an order waits for, as docs/operations.md names them, says what to do", async () => {
  const operations = await Deno.readTextFile(join(ROOT, "docs/operations.md"));
  const rows = /^\| reason .*\n\|[ -|]*\n((?:\|.*\n)+)/m.exec(operations)?.[1] ?? "";
  const reasons = [...rows.matchAll(/^\|([^|]*)\|/gm)]
    .flatMap(([, cell = ""]) => [...cell.matchAll(/`(\w+)`/g)].map(([, reason = ""]) => reason));
  assert(reasons.length > 10, "the table is read");
  const [view] = await sql`select pg_get_viewdef('reporting.orders_needing_attention'::regclass) as text`;
  assert.deepEqual(reasons.filter((reason) => !String(view?.["text"]).includes(`'${reason}'::text`)), []);
});
