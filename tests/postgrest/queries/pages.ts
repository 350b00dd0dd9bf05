import { type Ask, ask, get, prefer } from "./ask.ts";

export function ranges(): Ask[] {
  const page = (query: string, headers: Record<string, string> = {}, method = "GET") =>
    ask(method, `shelves?select=id&order=id${query}`, { headers });
  const counted = ["", "exact", "planned", "estimated", "nope"];
  return [
    ...[
      "&limit=2",
      "&limit=0",
      "&limit=-1",
      "&limit=x",
      "&limit=",
      "&offset=1",
      "&offset=99",
      "&offset=-1",
      "&limit=2&offset=1",
      "&limit=2&offset=99",
      "&limit=0&offset=2",
      "&limit=1&limit=2",
      "&limit=9999",
    ].flatMap((query) => counted.map((count) => page(query, count === "" ? {} : prefer(`count=${count}`)))),
    ...["0-1", "1-1", "2-", "0-0", "3-1", "9-9", "x", "0-1,3-4", "rows=0-1", "5-", "4-", "99-100"].flatMap((
      range,
    ) => [
      page("", { range }),
      page("", { range, ...prefer("count=exact") }),
      page("&limit=1", { range, ...prefer("count=exact") }),
      page("", { range, ...prefer("count=exact") }, "HEAD"),
    ]),
    page("", { range: "0-1", "range-unit": "items" }),
    page("&r=eq.99", prefer("count=exact")),
    page("&r=eq.99", { ...prefer("count=exact"), range: "1-2" }),
    get("shelves?select=id,books!inner(isbn)&order=id", { headers: prefer("count=exact") }),
    get("shelves?select=id,books!inner(isbn)&books.isbn=eq.S1", { headers: prefer("count=exact") }),
    get("shelves?select=id,books(isbn)&books=is.null&order=id", { headers: prefer("count=exact") }),
    get("rpc/numbers?n=5&limit=2", { headers: prefer("count=exact") }),
    get("rpc/numbers?n=5&offset=9", { headers: prefer("count=exact") }),
    get("rpc/table_of?n=5&num=gt.2&order=num.desc&limit=2", { headers: prefer("count=exact") }),
  ];
}

export function preferences(): Ask[] {
  const values = [
    "handling=strict",
    "handling=strict, nope",
    "handling=strict, count=exact, return=minimal",
    "handling=lenient, nope",
    "handling=strict, max-affected=1",
    "max-affected=1",
    "tx=rollback",
    "handling=strict, tx=rollback",
    "tx=commit, handling=strict",
    "timezone=America/New_York",
    "handling=strict, timezone=Nowhere/Land",
    "count=exact, count=planned",
    "return=representation",
    "resolution=merge-duplicates",
    "params=single-object",
    "missing=default",
    " count=exact ",
    "",
  ];
  return values.flatMap((value) => [
    get("shelves?select=id,built_at&order=id&limit=1", { headers: prefer(value) }),
    get("rpc/add?a=1", { headers: prefer(value) }),
  ]);
}

export function accepts(): Ask[] {
  const types = [
    "*/*",
    "application/json",
    "application/vnd.pgrst.object+json",
    "application/vnd.pgrst.object",
    "application/vnd.pgrst.object+json;nulls=stripped",
    "application/vnd.pgrst.array+json;nulls=stripped",
    "application/vnd.pgrst.array+json",
    "text/csv",
    "text/plain",
    "text/html",
    "application/xml, application/json;q=0.5",
    "text/html, */*;q=0.1",
    "application/json;q=0.2, text/csv",
    "application/geo+json",
    "application/vnd.pgrst.plan",
    'application/vnd.pgrst.plan+json; for="text/csv"; options=analyze',
    "application/octet-stream",
    "application/openapi+json",
    "nonsense",
  ];
  return types.flatMap((accept) => [
    get("shelves?select=id,r,name&id=eq.3", { headers: { accept } }),
    get("shelves?select=id,r&order=id", { headers: { accept } }),
    get("rpc/add?a=1", { headers: { accept } }),
    get("rpc/table_of?n=2", { headers: { accept } }),
    ask("HEAD", "shelves?select=id", { headers: { accept } }),
    ask("PATCH", "shelves?id=lt.3", {
      body: '{"r": 5}',
      headers: { accept, ...prefer("return=representation") },
    }),
  ]).concat(get("shelves?select=id&id=eq.99", { headers: { accept: "application/vnd.pgrst.object+json" } }));
}

export function profiles(): Ask[] {
  const of = (schema: string) => ({ "accept-profile": schema, "content-profile": schema });
  return [
    get("jobs", { headers: of("private") }),
    get("revenue_daily?select=day", { headers: of("reporting") }),
    get("shelves?select=id", { headers: of("reporting") }),
    get("shelves?select=id&limit=1", { headers: of("public") }),
    ask("POST", "labels", { body: '{"id": 90, "name": "p"}', headers: of("nope") }),
    ask("POST", "labels", { body: '{"id": 90, "name": "p"}', headers: of("public") }),
    ask("POST", "rpc/add", { body: '{"a": 1}', headers: of("reporting") }),
    get("nope"),
    get("Shelves"),
    get("shelves/"),
    get("no%20such"),
    ask("TRACE", "shelves"),
    ask("FOO", "shelves"),
  ].filter(({ method }) => method !== "TRACE");
}
