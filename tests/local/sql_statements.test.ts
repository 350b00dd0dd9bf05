import assert from "node:assert/strict";
import { splitStatements } from "../../scripts/local/sql_statements.ts";

const texts = (sql: string) => splitStatements(sql).map((statement) => statement.text);

Deno.test("splitStatements() splits at semicolons and drops the last one", () => {
  assert.deepEqual(texts("select 1;\nselect 2;\n"), ["select 1", "select 2"]);
});

Deno.test("splitStatements() leaves semicolons in strings, names, dollar quotes and comments alone", () => {
  const statements = [
    "select ';', 'it''s;'",
    `select ";" as "a"";b"`,
    "do $$ begin perform 1; end $$",
    "do $body$ begin perform $$;$$; end $body$",
    "select 1 -- one;\n, 2",
    "select 1 /* a; /* nested; */ b; */ , 2",
    String.raw`select e'\';'`,
  ];
  assert.deepEqual(texts(statements.join(";\n")), statements);
});

Deno.test("splitStatements() keeps the body of a function in standard SQL whole", () => {
  const statement = "create function f() returns int begin atomic select 1; select 2; end";
  assert.deepEqual(texts(`${statement};\nselect 3;`), [statement, "select 3"]);
});

Deno.test("splitStatements() names the line of the first word behind comments", () => {
  const lines = splitStatements("-- why\n\nselect 1;\n\n/* and\n why */\nselect 2;").map((statement) =>
    statement.line
  );
  assert.deepEqual(lines, [3, 7]);
});

Deno.test("splitStatements() drops what is only comment", () => {
  assert.deepEqual(texts("select 1;\n-- the end;\n/* ; */\n"), ["select 1"]);
});
