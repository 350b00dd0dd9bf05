/** The checks of `deno task ok` find what they are for. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { boundaries, withoutComments } from "../../scripts/quality/ok/boundaries.ts";
import { envExampleProblems } from "../../scripts/quality/ok/env_example.ts";
import { describeSchema } from "../../scripts/quality/ok/schema_snapshot.ts";
import { lengthProblems } from "../../scripts/quality/ok/file_length.ts";
import { fast } from "../../scripts/quality/ok.ts";
import { layoutProblems } from "../../scripts/quality/ok/sql_layout.ts";
import { findSecrets } from "../../scripts/lib/secrets.ts";
import { secretScan } from "../../scripts/quality/ok/secret_scan.ts";
import { spelling } from "../../scripts/quality/ok/spelling.ts";
import { LAYOUT_PATH } from "../../scripts/quality/mails.ts";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { runCommand } from "../../scripts/lib/command.ts";
import { writeMigrations } from "../../scripts/lib/schemas.ts";

async function problemsIn(files: Record<string, string>): Promise<string[]> {
  const root = await Deno.makeTempDir();
  try {
    await runCommand("git", ["init", "-q"], { cwd: root });
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(join(root, dirname(path)), { recursive: true });
      await Deno.writeTextFile(join(root, path), text);
    }
    const result = await boundaries.run({ root, write: false, adminUrl: "" });
    return result.kind === "failed" ? result.problems : [];
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const FN = "supabase/functions";

for (
  const [what, path, text] of [
    [
      "a function that imports from scripts",
      `${FN}/a/index.ts`,
      `import { x } from "../../../scripts/x.ts";`,
    ],
    ["a function that imports from tests", `${FN}/a/index.ts`, `export * from "../../../tests/x.ts";`],
    ["a function that imports another", `${FN}/a/index.ts`, `import type { X } from "../b/handler.ts";`],
    ["a shared file that imports a function", `${FN}/_shared/a.ts`, `import { x } from "../b/handler.ts";`],
    ["an import over several lines", `${FN}/a/index.ts`, `import {\n  x,\n} from "../b/handler.ts";`],
    ["a dynamic import", `${FN}/a/index.ts`, `await import("../b/handler.ts");`],
    ["a jsr import", "scripts/a.ts", `import { x } from "jsr:@std/assert";`],
    ["an import of an address", "tests/a.ts", `import "https://deno.land/x/a.ts";`],
    ["an inline npm import", "scripts/a.ts", `import { z } from "npm:zod";`],
    ["a second reader of the environment", `${FN}/a/index.ts`, `const x = Deno.env.get("X");`],
    ["a second user of the console", `${FN}/_shared/a.ts`, `console.log("x");`],
    ["a second caller of .rpc()", `${FN}/a/handler.ts`, `await client.rpc("x");`],
  ] as const
) {
  Deno.test(`boundaries finds ${what}`, async () => {
    const problems = await problemsIn({ [path]: text });
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.ok(problems[0]?.startsWith(`${path}:`), problems[0]);
  });
}

Deno.test("boundaries lets owners, own files and mentions in comments be", async () => {
  const problems = await problemsIn({
    [`${FN}/_shared/env.ts`]: "Deno.env.toObject();",
    [`${FN}/_shared/log.ts`]: "console.log(1);",
    [`${FN}/_shared/database/client.ts`]: `client.rpc("x");`,
    [`${FN}/a/index.ts`]:
      `import { h } from "./handler.ts";\nimport { l } from "../_shared/log.ts";\nimport Stripe from "stripe";\n` +
      `// console.log is for log.ts; Deno.env for env.ts\n/* import x from "../b/handler.ts"; */`,
    [`${FN}/a/handler.ts`]: "export function h() {}",
    [`${FN}/a/deno.json`]: "{}",
    "scripts/live/a.ts": `console.log(Deno.env.get("X"));`,
  });
  assert.deepEqual(problems, []);
});

Deno.test("boundaries holds the roofs apart, and the rooms of _shared in their order", async () => {
  const problems = await problemsIn({
    "scripts/stand-in/a.ts": `import "../lib/a.ts";`,
    "scripts/live/a.ts": `import "../local/a.ts";`,
    "scripts/lib/a.ts": `import "../../tests/a.ts";`,
    "scripts/other/a.ts": `import "../lib/a.ts";`,
    "scripts/local/a.ts": `import "../lib/a.ts"; import "../stand-in/a.ts";`,
    "tests/a.ts": `import "../scripts/local/a.ts";`,
    [`${FN}/_shared/http/a.ts`]: `import "../jobs/a.ts";`,
    [`${FN}/_shared/jobs/a.ts`]: `import "../stripe/a.ts";`,
    [`${FN}/_shared/stripe/a.ts`]: "",
    [`${FN}/_shared/elsewhere/a.ts`]: `import "../stripe/a.ts";`,
  });
  const found = problems.map((problem) => problem.split(" imports ")[0]);
  assert.deepEqual(found.filter((problem) => !problem?.startsWith("these import each other")).sort(), [
    "scripts/lib/a.ts:1",
    "scripts/live/a.ts:1",
    "scripts/other/a.ts:1",
    "scripts/stand-in/a.ts:1",
    `${FN}/_shared/elsewhere/a.ts:1`,
    `${FN}/_shared/http/a.ts:1`,
  ]);
});

Deno.test("boundaries finds circles, exports that nobody imports and packages that nobody needs", async () => {
  const problems = await problemsIn({
    "deno.json": `{ "imports": { "zod": "npm:zod@4" } }`,
    "scripts/lib/a.ts":
      `import { type B, used } from "./b.ts";\nexport const a: Own = used;\nexport type Own = B;`,
    "scripts/lib/b.ts":
      `import { a } from "./a.ts";\nexport type B = typeof a | 1;\nexport const used = 1;\nexport function spare() {}\n` +
      "export type Unwanted = 1;",
  });
  assert.deepEqual(problems.sort(), [
    "deno.json lists zod, which nothing imports",
    "scripts/lib/b.ts exports Unwanted, which nothing imports",
    "scripts/lib/b.ts exports spare, which nothing imports",
    "these import each other in a circle: scripts/lib/a.ts, scripts/lib/b.ts",
  ]);
});

Deno.test("withoutComments() keeps lines and addresses", () => {
  const text = `const a = "https://x"; // why\n/* one\ntwo */ const b = 1;`;
  assert.equal(withoutComments(text).split("\n").length, 3);
  assert.ok(withoutComments(text).includes(`"https://x"`));
  assert.ok(!/why|one|two/.test(withoutComments(text)));
});

const LETTERS = "aB3".repeat(20);
for (
  const [what, secret] of [
    ["a live Stripe key", `sk_live_${LETTERS}`],
    ["a restricted live key", `rk_live_${LETTERS}`],
    ["a full-length test key", `sk_test_${LETTERS}`],
    ["a webhook signing secret", `whsec_${LETTERS}`],
    ["a Supabase access token", `sbp_${"0a".repeat(20)}`],
    ["a Supabase secret key", `sb_secret_${LETTERS}`],
    ["a private key", `-----BEGIN ${"EC "}PRIVATE KEY-----`],
    ["a JSON web token", `eyJ${LETTERS}.eyJ${LETTERS}.${LETTERS}`],
  ] as const
) {
  Deno.test(`the secret scan finds ${what}`, () => {
    assert.equal(findSecrets(`first line\nKEY=${secret}\n`)[0]?.line, 2);
  });
}

for (
  const [what, text] of [
    ["a variable's value by its name", `LINK_SIGNING_SECRET=${"k3Jq9".repeat(8)}`],
    ["a value by its name in JSON", `{"UPSTASH_REDIS_REST_TOKEN": "${"k3Jq9".repeat(8)}"}`],
    [
      "a database's address with its password",
      `postgresql://postgres.ref:${"k3Jq9".repeat(3)}@db.supabase.com:5432/x`,
    ],
    [
      "an alert address",
      `https://hooks.slack.com/services/T0${LETTERS.slice(0, 8)}/B0${LETTERS.slice(0, 30)}`,
    ],
    ["a key in two pieces", `const key = "sk_live_" + "${LETTERS}";`],
    ["a token over two lines", `eyJ${LETTERS}\n.eyJ${LETTERS}.${LETTERS}`],
    ["a key in base64", btoa(`sk_live_${LETTERS}`)],
    ["a file in UTF-16", [...`sk_live_${LETTERS}`].join("\0")],
    ["a private JSON web key", `{"kty":"EC","crv":"P-256","x":"a","y":"b","d":"${LETTERS.slice(0, 43)}"}`],
    ["a Turnstile secret", `0x4AAAAAAA${LETTERS.slice(0, 25)}`],
    ["a fine-grained GitHub token", `github_pat_${LETTERS}_${LETTERS}`],
  ] as const
) {
  Deno.test(`the secret scan finds ${what}`, () => {
    assert.equal(findSecrets(`first line\n${text}\n`)[0]?.line, 2);
  });
}

Deno.test("the secret scan reads what any commit has added, also when it is gone", async () => {
  const root = await Deno.makeTempDir();
  const git = (...args: string[]) =>
    runCommand("git", ["-c", "user.name=t", "-c", "user.email=t@shop.example", ...args], { cwd: root });
  try {
    await git("init", "-q");
    await Deno.writeTextFile(join(root, "a.txt"), `key sk_live_${LETTERS}\n`);
    await git("add", "-A");
    await git("commit", "-qm", "one");
    await Deno.writeTextFile(join(root, "a.txt"), "key\n");
    await git("commit", "-qam", "two");
    const result = await secretScan.run({ root, write: false, adminUrl: "" });
    assert.ok(result.kind === "failed");
    assert.equal(result.problems.length, 1);
    assert.match(result.problems[0] ?? "", /^the history has a live Stripe key/);
    assert.ok(!result.problems[0]?.includes(LETTERS), "and does not print it");
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("the secret scan lets placeholders be", () => {
  assert.deepEqual(findSecrets("postgresql://postgres:postgres@127.0.0.1:54322/postgres"), []);
  assert.deepEqual(
    findSecrets('STRIPE_SECRET_KEY: stack.stripe_secret_key, LINK_SIGNING_SECRET="x".repeat(40)'),
    [],
  );
  assert.deepEqual(findSecrets("sk_test_… whsec_… sk_live_... sb_secret_… whsec_test"), []);
});

Deno.test("the env example must name each variable of env.ts, once, in order, with a comment", () => {
  const expected = ["ONE", "TWO"];
  assert.deepEqual(envExampleProblems("# first\nONE=1\n# second\n# TWO=\n", expected), []);
  assert.match(envExampleProblems("# first\nONE=1\n", expected).join(), /lacks TWO/);
  assert.match(
    envExampleProblems("# a\nONE=\n# b\nTWO=\n# c\nTHREE=\n", expected).join(),
    /THREE, which env.ts does not/,
  );
  assert.match(envExampleProblems("# b\nTWO=\n# a\nONE=\n", expected).join(), /order/);
  assert.match(envExampleProblems("# a\nONE=\nTWO=\n", expected).join(), /TWO has no comment/);
});

Deno.test("the schema snapshot is the same for the same schema and shows grants, policies, signatures and comments", async () => {
  await using one = await createTestDatabase();
  await using two = await createTestDatabase();
  let earlier = await describeSchema(one.url);
  assert.equal(await describeSchema(two.url), earlier);
  for (
    const change of [
      "alter table public.orders add column extra int",
      "grant select on public.orders to anon",
      "create policy extra on public.orders for select to anon using (true)",
      "comment on table public.orders is 'changed'",
      "alter table public.orders disable row level security",
      "create function public.extra() returns int language sql as 'select 1'",
      "create or replace function public.extra() returns int language sql security definer as 'select 1'",
      "grant execute on function public.extra() to anon",
      "create index extra on public.orders (created_at, id)",
      "alter table public.orders add constraint extra check (true)",
    ]
  ) {
    await one.sql.unsafe(change);
    const later = await describeSchema(one.url);
    assert.notEqual(later, earlier, change);
    earlier = later;
  }
});

Deno.test("the layout check finds wide lines and long functions, and counts characters, not bytes", () => {
  const body = (lines: number) =>
    `create function public.f()\nreturns void\nlanguage plpgsql\nas $$\n${"x\n".repeat(lines)}$$;\n`;
  assert.deepEqual(layoutProblems("a.sql", body(65)), []);
  assert.deepEqual(layoutProblems("a.sql", `${body(65)}\n${body(66)}`), [
    "a.sql:72 public.f() has 71 lines; 70 fit",
  ]);
  assert.deepEqual(layoutProblems("a.sql", "-".repeat(110) + "\n" + "…".repeat(110)), []);
  assert.deepEqual(layoutProblems("a.sql", "\n" + "-".repeat(111)), ["a.sql:2 has 111 columns; 110 fit"]);
});

Deno.test("spelling finds a word that is none, and American prose, and lets the project's own words be", async () => {
  const root = await Deno.makeTempDir();
  try {
    const config = "scripts/quality/spelling";
    await Deno.mkdir(join(root, config), { recursive: true });
    for (const name of ["cspell.json", "words.txt"]) {
      await Deno.copyFile(join(import.meta.dirname ?? "", "../..", config, name), join(root, config, name));
    }
    await Deno.writeTextFile(
      join(root, "README.md"),
      "An odd behavior.\n\nAnd a " + ["m", "s", "i", "take"].join("") + ".\n\n" +
        "The livemode of the storefront is a flag.\n",
    );
    const result = await spelling.run({ root, write: false, adminUrl: "" });
    assert.ok(result.kind === "failed");
    // Nothing of line 5; that a text without mistakes passes is what the gate itself shows.
    assert.deepEqual(result.problems.map((line) => line.split(" ")[0]), [
      "README.md:1:8",
      "README.md:3:7",
      "A",
    ]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

/** A project that passes `ok --fast`, as small as it can be. */
async function smallProject(root: string): Promise<void> {
  const ours = (path: string) => Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
  const files: Record<string, string> = {
    ".env.example": await ours(".env.example"),
    [LAYOUT_PATH]: await ours(LAYOUT_PATH),
    "CHANGELOG.md": "# Changelog\n",
    "deno.json": `${JSON.stringify({ fmt: { lineWidth: 110, exclude: [LAYOUT_PATH] } }, null, 2)}\n`,
    "scripts/live/a.ts": "export {};\n",
    "supabase/config.toml": `[db.migrations]\nschema_paths = ["./schemas/one/one.sql"]\n`,
    "supabase/functions/a/index.ts": "export {};\n",
    "supabase/migrations/.keep": "",
    "supabase/schemas/one/one.sql": "create table one ();\n",
    "tests/a.ts": `export { layoutHtml, layoutText } from "../${LAYOUT_PATH}";\n`,
  };
  for (const [path, text] of Object.entries(files)) {
    await Deno.mkdir(join(root, dirname(path)), { recursive: true });
    await Deno.writeTextFile(join(root, path), text);
  }
  await writeMigrations(root);
  await runCommand("git", ["init", "-q"], { cwd: root });
}

Deno.test("ok --fast judges the files alone, and no database", async () => {
  const root = await Deno.makeTempDir();
  const judge = async () => {
    const said: string[] = [];
    const code = await fast(root, false, (line) => said.push(line));
    return {
      code,
      ended: said.filter((line) => /^\S/.test(line)).map((line) => line.slice(0, 31).trim()).sort(),
    };
  };
  const steps = ["boundaries", "env example", "file length", "format", "lint", "mail layout", "migrations"];
  steps.push("secrets", "sql layout", "type check");
  const passed = steps.map((step) => `${step.padEnd(22)} ok`);
  try {
    await smallProject(root);
    assert.deepEqual(await judge(), { code: 0, ended: passed });
    await Deno.writeTextFile(join(root, "tests/b.ts"), "const a: number = 'b'\n");
    const failing = ["format", "lint", "type check"];
    assert.deepEqual(await judge(), {
      code: 1,
      ended: passed.map((line) =>
        failing.some((step) => line.startsWith(step)) ? line.replace("ok", "FAILED") : line
      ),
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("the length check counts lines, whether the last one ends or not", () => {
  assert.deepEqual(lengthProblems("a.ts", "x\n".repeat(400)), []);
  assert.deepEqual(lengthProblems("a.ts", "x\n".repeat(399) + "x"), []);
  assert.deepEqual(lengthProblems("a.ts", "x\n".repeat(400) + "x"), [
    "a.ts has 401 lines; 400 fit: split it by subject",
  ]);
});
