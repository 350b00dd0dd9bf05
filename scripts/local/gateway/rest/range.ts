/** Ranges of rows, as `limit`, `offset` and the `Range` header ask for them. */

/** First and last row, both counted from 0; the last is Infinity where there is no limit. */
export interface RowRange {
  first: number;
  last: number;
}

export const ALL_ROWS: RowRange = { first: 0, last: Infinity };
/** What `limit=0` asks for: no row, and no error either. */
export const NO_ROWS: RowRange = { first: 0, last: -1 };
const EMPTY: RowRange = { first: Infinity, last: -Infinity };

export const isEmpty = ({ first, last }: RowRange): boolean => first > last;

export const asksForNone = ({ last }: RowRange): boolean => last === NO_ROWS.last;

export function intersection(one: RowRange, other: RowRange): RowRange {
  if (isEmpty(one) || isEmpty(other)) return EMPTY;
  return { first: Math.max(one.first, other.first), last: Math.min(one.last, other.last) };
}

/** At most `limit` rows of `range`; all of them for null. */
export function limited(range: RowRange, limit: number | null): RowRange {
  return limit === null ? range : intersection(range, { first: -Infinity, last: range.first + limit - 1 });
}

/** What `limit` and `offset` ask for together; null is one that is not there, and NaN one that is no number. */
export function rangeOf(limit: number | null, offset: number | null): RowRange {
  const first = offset === null || Number.isNaN(offset) ? 0 : offset;
  if (limit === null) return { first, last: Infinity };
  if (offset === null) return limited(ALL_ROWS, Number.isNaN(limit) ? null : limit);
  return { first, last: first + (Number.isNaN(limit) ? 0 : limit) - 1 };
}

/** The `Range` header: `0-9` or `10-`. Anything else asks for all. */
export function rangeOfHeader(header: string | null): RowRange {
  const [, first, last] = /^(\d+)-(\d*)$/.exec(header ?? "") ?? [];
  if (first === undefined) return ALL_ROWS;
  return intersection(
    { first: Number(first), last: Infinity },
    { first: -Infinity, last: last === "" ? Infinity : Number(last) },
  );
}

export function limitSql(range: RowRange): string {
  if (range.first === 0 && range.last === Infinity) return "";
  const limit = range.last === Infinity ? "all" : 1 + range.last - range.first;
  return ` limit ${limit} offset ${range.first}`;
}

/** `Content-Range`: `*` for no rows; a `total` of null is not known. */
export function contentRange(first: number, last: number, total: number | null): string {
  const rows = total !== 0 && first <= last ? `${first}-${last}` : "*";
  return `${rows}/${total ?? "*"}`;
}
