import { type Ask, gets } from "./ask.ts";

export function operators(): Ask[] {
  const of = (column: string, ...values: string[]) =>
    values.flatMap((value) =>
      gets("shelves", `select=id&order=id&${column}=${value}`, `select=id&order=id&${column}=not.${value}`)
    );
  return [
    ...of(
      "r",
      "eq.2",
      "neq.2",
      "gt.1",
      "gte.2",
      "lt.4",
      "lte.2",
      "isdistinct.2",
      "in.(1,4)",
      "in.()",
      "is.null",
    ),
    ...of(
      "r",
      "eq(any).{1,2}",
      "gt(all).{1,2}",
      "eq(some).{1}",
      "eq.",
      "eq.x",
      "in.(x)",
      "in.(1,)",
      "in.1,2",
    ),
    ...of(
      "name",
      "like.*star*",
      "ilike.b*",
      "like(any).{A*,B*}",
      "ilike(all).{*a*,*b*}",
      "match.^B",
      "imatch.^b",
    ),
    ...of("name", "fts.two", "wfts.two", "plfts(english).two", "phfts(simple).B two", "fts.a b", "fts().x"),
    ...of("words", "fts.two", "wfts(english).two or one", "plfts.star"),
    ...of("tags", "cs.{x}", "cd.{x,y,z}", "ov.{y,q}", 'cs.{"a b"}', "eq.{}", "cs.x"),
    ...of("sizes", "sl.[9,12)", "sr.[0,1)", "nxr.[1,5)", "nxl.[4,5)", "adj.[9,12)", "ov.[4,5)", "cs.[2,3)"),
    ...of("data", 'cs.{"k":{"z":1}}', "cs.[1]", "is.null"),
    ...of("visible", "is.true", "is.false", "is.unknown", "is.TRUE", "is.not_null", "is.maybe", "eq.true"),
    ...of("kind", "eq.open", "eq.nope", "in.(open,closed)"),
    ...of("built_at", "gte.2026-02-01", "lt.2026-02-01T12:00:00Z", "eq.never"),
    ...of("serial_no", "eq.aaaaaaaa-0000-4000-8000-000000000000", "eq.nope"),
    ...gets(
      "shelves",
      "r=noop.1",
      "r=1",
      "r=",
      "r",
      "=eq.1",
      "nope=eq.1",
      "r=eq.1;id=eq.2",
      "id=eq.1&id=eq.2",
      'name" or true --=eq.x',
      '"name\\" or true --"=eq.x',
      "r=not.not.eq.1",
      "id=eq.99999999999999999999",
      "name=eq.%00",
      "name=eq.a%zz",
      "select=id&name=eq.B%20(two)",
      "select=id&name=eq.B+(two)",
    ),
  ];
}

export function lists(): Ask[] {
  return gets(
    "shelves",
    ...[
      '("A, \\"one\\"")',
      '("A, \\"one\\"","B (two)")',
      "(B (two),x)",
      '("B (two)")',
      '( "B (two)" )',
      '("B (two)", "*star%")',
      "(*star%, x)",
      '("back\\\\slash")',
      "(back\\slash)",
      '("*star%"x)',
      '("unclosed)',
      '("a""b")',
      "(a,b",
      "()",
      '("")',
      "(,)",
      "( )",
    ].map((list) => `select=id&order=id&name=in.${encodeURIComponent(list)}`),
  );
}

export function logic(): Ask[] {
  return [
    ...gets(
      "shelves",
      ...[
        "or=(r.eq.1,r.eq.4)",
        "or=(r.eq.1,r.eq.4,)",
        "or=(r.eq.1)",
        "or=()",
        "or=r.eq.1",
        "or=( r.eq.1 , r.eq.2 )",
        "and=(r.gt.1,or(r.lt.3,name.like.*s*))",
        "not.or=(r.eq.1,r.eq.4)",
        "not.and=(r.gt.1,r.lt.9)",
        "or=(not.and(r.gt.1,r.lt.9),r.is.null)",
        "or=(and(r.eq.1,name.like.A*),and(r.eq.2))",
        'or=(name.eq."A, \\"one\\"",r.eq.2)',
        'or=(name.in.("B (two)","x,y"),r.eq.4)',
        "or=(name.eq.B (two),r.eq.4)",
        "or=(tags.cs.{x,y},tags.ov.{a})",
        "or=(tags.eq.{},r.eq.1)",
        'or=(data->k->>z.eq.1,data->>7.eq."seven")',
        "or=(name.fts(english).two,words.plfts.star)",
        "or=(r.eq(any).{1,2},name.like(any).{A*})",
        "or=(r.eq.1,xor(r.eq.2,r.eq.3))",
        "or=(r.noop.1)",
        "or=(r.eq.1,r)",
        "or=(r.is.null,r.not.is.null)",
        "or=(r.not.in.(1,2),r.eq.1)",
        "or=(r.in.(1,2)",
        "or=(r.eq.1))",
        'or=("odd name".eq.odd,"co,mma".eq.d)',
        'or=("quo\\"te".eq.q)',
        "or=(r.eq.1)&and=(id.lt.3)",
        "or=(r.eq.1)&or=(id.eq.1)",
        "and=(nope.eq.1)",
      ].map((query) => `select=id&order=id&${query}`),
    ),
    ...gets(
      "shelves",
      "select=id,books(isbn)&order=id&books.or=(isbn.eq.S1,isbn.eq.S3)",
      "select=id,books(isbn)&order=id&books.not.and=(isbn.eq.S1,price.gt.1)",
      "select=id,b:books(isbn)&order=id&b.or=(isbn.eq.S1)",
      "select=id&books.or=(isbn.eq.S1)",
    ),
  ];
}
