import { type Ask, ask, get } from "./ask.ts";

/** Not 40001 and 40P01: after those PostgREST's library begins again, for ever. */
export function errors(): Ask[] {
  const fail = (code: string, more: Record<string, string> = {}, as: Ask["as"] = "anon") =>
    ask("POST", "rpc/fail", { as, body: JSON.stringify({ code, ...more }) });
  const classes = [
    "P0001",
    "P0002",
    "SH001",
    "SH404",
    "PT404",
    "PT429",
    "PT418",
    "PT500",
    "PTxyz",
    "PT204",
    "PT1",
    "22023",
    "22P02",
    "23502",
    "23503",
    "23505",
    "23514",
    "25006",
    "28000",
    "2D000",
    "38000",
    "39000",
    "3B000",
    "42501",
    "42883",
    "42P01",
    "42P17",
    "53300",
    "53400",
    "54000",
    "55000",
    "57014",
    "57P01",
    "58000",
    "F0000",
    "HV000",
    "XX000",
    "08000",
    "09000",
    "0L000",
    "0P000",
    "21000",
    "0A000",
  ];
  return [
    ...classes.flatMap((code) => [fail(code), fail(code, {}, "service")]),
    fail("PGRST", { msg: '{"code":"X1","message":"mine"}', detail: '{"status":418,"headers":{"x-a":"b"}}' }),
    fail("PGRST", {
      msg: '{"code":"X1","message":"mine","details":"d","hint":"h"}',
      detail: '{"status":503,"status_text":"Busy","headers":{}}',
    }),
    fail("PGRST", { msg: "no json", detail: "{}" }),
    fail("PGRST", { msg: '{"code":"X1","message":"mine"}', detail: '{"status":418}' }),
  ];
}

export function roles(): Ask[] {
  const known = (["anon", "user", "service"] as const).flatMap((as) => [
    get("rpc/who", { as }),
    ask("POST", "rpc/who", { as, body: "{}" }),
    get("shelves?select=id&order=id", { as }),
    get("secrets", { as }),
    ask("POST", "secrets", { as, body: '{"id": 2, "word": "shut"}' }),
    ask("POST", "labels", { as, body: '{"id": 1}' }),
    ask("PATCH", "labels?id=eq.99999", { as, body: '{"name": "x"}' }),
    ask("DELETE", "labels?id=eq.99999", { as }),
    get("nope", { as }),
    get("shelves?select=nope", { as }),
  ]);
  const others = [
    "expired",
    "forged",
    "strange",
    "nameless",
    "early",
    "future",
    "unsigned",
    "garbled",
    "half",
  ] as const;
  return [...known, ...others.flatMap((as) => [get("rpc/who", { as }), get("shelves?select=nope", { as })])];
}
