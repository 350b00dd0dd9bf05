/** Writes the SQL that makes a body of the rows of `_postgrest_t`. */
import type { Representation } from "./media_type.ts";
import { quoteText } from "./quote.ts";
import type { Routine } from "./snapshot.ts";

/** The body as text; of a call it depends on what the function returns. */
export function bodySql({ format, stripNulls }: Representation, routine: Routine | null): string {
  if (format === "csv") return CSV;
  if (format === "geojson") {
    return "json_build_object('type', 'FeatureCollection', 'features', " +
      "coalesce(json_agg(ST_AsGeoJSON(_postgrest_t)::json), '[]'))::text";
  }
  const isScalar = routine !== null && routine.result !== "composite";
  const list = `json_agg(_postgrest_t${isScalar ? ".pgrst_scalar" : ""})`;
  const isOne = format === "single" || (routine !== null && !routine.returnsSet);
  const strip = (value: string) => stripNulls ? `json_strip_nulls(${value})` : value;
  return isOne ? `coalesce(${strip(`${list}->0`)}, 'null')::text` : `coalesce(${strip(list)}, '[]')::text`;
}

const CSV = `(select coalesce(string_agg(a.k, ','), '') from (
    select json_object_keys(r)::text as k
    from (select row_to_json(hh) as r from pgrst_source as hh limit 1) s
  ) a) || '\n' || coalesce(string_agg(substring(_postgrest_t::text, 2, length(_postgrest_t::text) - 2), '\n'), '')`;

/** The primary key of the one row that was inserted: a JSON list of the parts of a query string. */
export function locationSql(primaryKey: string[]): string {
  if (primaryKey.length === 0) return "null";
  return `case when count(_postgrest_t) = 1 then (
    with data as (select row_to_json(_) as row from pgrst_source as _ limit 1)
    select json_agg(json_data.key || '=' || coalesce('eq.' || json_data.value, 'is.null'))::text
    from data cross join json_each_text(data.row) as json_data
    where json_data.key in (${primaryKey.map(quoteText).join(", ")})) end`;
}
