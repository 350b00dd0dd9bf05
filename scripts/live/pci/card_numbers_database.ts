/** Card numbers in every text and JSON column of the database, the platform's own tables included. */
import { maskCardNumbers } from "../../../supabase/functions/_shared/text/card_numbers.ts";
import { cardNumbersIn, MAYBE_CARD } from "./card_finder.ts";
import { type Check, emptyResult, noDatabase } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";

interface Table {
  name: string;
  key: string[];
  columns: string[];
  readable: boolean;
}

const batchRows = 200;

/** Tables with columns that can hold text: their own, of a domain over it, in arrays, JSON and XML. */
const TABLES = `
select json_build_object(
    'name', format('%I.%I', n.nspname, c.relname),
    'columns', json_agg(quote_ident(a.attname) order by a.attnum),
    'readable', has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'),
    'key', (
      select coalesce(json_agg(quote_ident(k.attname) order by k.attnum), '[]')
      from pg_index i join pg_attribute k on k.attrelid = c.oid and k.attnum = any (i.indkey)
      where i.indrelid = c.oid and i.indisprimary
    )
  )::text as found
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
where c.relkind in ('r', 'm') and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
  and (
    coalesce(e.typcategory, t.typcategory) = 'S'
    or coalesce(e.typname, t.typname) in ('json', 'jsonb', 'xml')
    or exists (select 1 from pg_type b where b.oid = t.typbasetype and b.typname in ('json', 'jsonb', 'xml'))
  )
group by c.oid, n.oid, n.nspname, c.relname
order by n.nspname, c.relname`;

/** Reads all rows; what looks like a card number at first sight comes here to be judged. */
export const cardNumbersInDatabase: Check = async ({ sql }) => {
  if (sql === null) return noDatabase;
  const result = emptyResult();
  const [role] = await sql.unsafe(
    "select rolsuper or rolbypassrls as sees_all from pg_roles where rolname = current_user",
  );
  if (role?.["sees_all"] !== true) {
    result.notExamined.push("rows that policies hide from this role: use postgres");
  }
  const tables = (await sql.unsafe<{ found: string }[]>(TABLES)).map(({ found }): Table => JSON.parse(found));
  const marks: string[] = [];
  let rows = 0, columns = 0;
  for (const table of tables) {
    if (!table.readable) {
      result.notExamined.push(`${table.name}: this role may not read it`);
      continue;
    }
    const texts = table.columns.map((column) => `${column}::text`);
    const [all] = await sql.unsafe(
      `select count(*)::text as count, coalesce(bit_xor(hashtextextended(concat_ws('|', ${
        texts.join(", ")
      }), 0)), 0)::text
        as mark from ${table.name}`,
    );
    marks.push(`${table.name} ${table.columns.join(",")} ${all?.["count"]} ${all?.["mark"]}`);
    rows += Number(all?.["count"]);
    columns += table.columns.length;
    const key = table.key.length > 0 ? table.key.map((column) => `${column}::text`) : ["ctid::text"];
    const found = sql.unsafe<{ key: string; texts: string }[]>(
      `select json_build_array(${key.join(", ")})::text as key, json_build_array(${
        texts.join(", ")
      })::text as texts
        from ${table.name} where ${texts.map((text) => `${text} ~ '${MAYBE_CARD}'`).join(" or ")}`,
    ).cursor(batchRows);
    for await (const batch of found) {
      for (const row of batch) {
        result.findings.push(...await judgeRow(table, JSON.parse(row.key), JSON.parse(row.texts)));
      }
    }
  }
  result.examined.push({
    what: `rows of ${tables.length} tables, in ${columns} text and JSON columns`,
    items: rows,
    sha256: await sha256(marks.join("\n")),
    moves: true,
  });
  return result;
};

async function judgeRow(table: Table, key: string[], texts: (string | null)[]) {
  const shown = (await Promise.all(key.map(shownKey))).join(", ");
  return texts.flatMap((text, at) =>
    cardNumbersIn(text ?? "").map((card) => ({
      where: `${table.name}.${table.columns[at]}, row ${shown}`,
      what: `a card number: ${card}`,
    }))
  );
}

/** A key that is an id as it is; one that may be an address, or a card number itself, as a digest. */
async function shownKey(key: string): Promise<string> {
  const isId = /^(?:[\w-]{1,64}|\(\d+,\d+\))$/.test(key) && maskCardNumbers(key) === key;
  return isId ? key : `sha256:${(await sha256(key)).slice(0, 12)}`;
}
