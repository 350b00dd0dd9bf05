/** Every task of `deno.json` on its command line: help, wrong flags, a shell that names a real project. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { openBackend } from "../../scripts/live/backend.ts";
import { functionVariables } from "../../scripts/local/function_env.ts";
import { refuseRealProject } from "../../scripts/lib/real_project.ts";
import { isLoopback } from "../../supabase/functions/_shared/http/loopback.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const GENERATED = ["docs/openapi.json", "supabase/functions/_shared/database/database_types.ts"];

interface Expected {
  /** Refuses a shell that names a real project. */
  offline: boolean;
  /** Command lines that make no sense, beside an unknown flag. */
  wrong: string[][];
}

/** A task that is not listed here fails the first test. */
const EXPECTED: Record<string, Expected> = {
  dev: { offline: true, wrong: [["fresh"], ["--fresh=yes"]] },
  demo: { offline: true, wrong: [["surplus"]] },
  test: { offline: true, wrong: [["tests/unit", "--filter"]] },
  ok: { offline: true, wrong: [["--skip-test"]] },
  migrations: { offline: false, wrong: [["surplus"]] },
  mails: { offline: false, wrong: [["surplus"]] },
  types: { offline: false, wrong: [["surplus"]] },
  preview: {
    offline: false,
    wrong: [["nonsense"], ["order_shipped", "1", "2"], ["order_shipped", "--html"]],
  },
  evidence: { offline: false, wrong: [[], ["KCT-1"], ["du_1", "du_2"], ["du_1", "--note"]] },
  console: { offline: false, wrong: [["surplus"], ["--port", "x"], ["--env"]] },
  bundle: { offline: false, wrong: [["surplus"], ["--out"]] },
  sbom: { offline: false, wrong: [["surplus"], ["--out"]] },
  replay: { offline: true, wrong: [["surplus"]] },
  redrive: { offline: false, wrong: [[], ["nonsense"], ["--type"], ["--again", "--all"]] },
  trace: { offline: false, wrong: [[], ["1", "2"], ["1", "--json=yes"]] },
  reconcile: { offline: false, wrong: [["--since"], ["--since", "60d"], ["--since", "soon"]] },
  rescue: {
    offline: false,
    wrong: [
      ...[["surplus"], ["--since"], ["--dry-run=yes"], ["--since", "soon"], [
        "--stopped",
        "2999-01-01T00:00Z",
      ]],
      // Another moment on another machine, and other years.
      ...[["--since", "2026-11-26"], ["--stopped", "2026-11-26T03:00"], ["--since", "5"], [
        "--since",
        "11.12.2025",
      ]],
    ],
  },
  radar: { offline: false, wrong: [["surplus"]] },
  rotate: {
    offline: false,
    wrong: [[], ["NONSENSE"], ["METRICS_TOKEN", "LINK_SIGNING_SECRET"], [
      "METRICS_TOKEN",
      "--finish",
      "--back",
    ]],
  },
  setup: { offline: false, wrong: [["--env"], ["--dry-run=no"], ["--only", "coffee"]] },
  doctor: { offline: false, wrong: [["surplus"]] },
  pci: { offline: false, wrong: [["surplus"], ["--diff-only", "--env", ".env"], ["--out"]] },
  rebuild: { offline: false, wrong: [["surplus"], ["--db-url", "nonsense"], ["--dry-run=yes"]] },
  rehearse: {
    offline: false,
    wrong: [["surplus"], ["--limit", "0"], ["--since", "soon"], ["--db-url", "nonsense"], ["--json=yes"]],
  },
  chaos: { offline: true, wrong: [["--runs", "0"], ["--seed", "x"]] },
  simulate: {
    offline: true,
    wrong: [["--days", "0"], ["--seed", "x"], ["--hours", "0"], ["--replay", "nonsense"], ["surplus"]],
  },
  mutate: { offline: true, wrong: [["--lists"]] },
  bench: { offline: true, wrong: [["--orders", "1.5"], ["--jobs", ""]] },
};

const SECRET = `sb_secret_${"0".repeat(20)}`;

interface Config {
  tasks: Record<string, { description: string; command: string }>;
}
const { tasks }: Config = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));

interface Ended {
  code: number;
  out: string;
  err: string;
}

/** Runs a task as `deno task` does, in the checkout. */
async function run(task: string, args: string[], env: Record<string, string>): Promise<Ended> {
  const [, command = "", ...rest] = tasks[task]?.command.split(" ") ?? [];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    // Deno itself would say when it waits for another process; here only what the task says counts.
    args: [command, "--quiet", ...rest, ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1", STRIPE_SECRET_KEY: "", SUPABASE_URL: "", SUPABASE_SECRET_KEYS: "", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

/** Runs command lines in a place where everything that they do is seen: calls, files, a folder of a stack. */
async function runHarmless(lines: { task: string; args: string[] }[]): Promise<Ended[]> {
  const folder = await Deno.makeTempDir({ prefix: "kct-tasks-" });
  const calls: string[] = [];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    calls.push(`${request.method} ${new URL(request.url).pathname}`);
    return Response.json({}, { status: 500 });
  });
  const address = `http://127.0.0.1:${server.addr.port}`;
  try {
    const before = await generatedAt();
    const ended = await Promise.all(lines.map(({ task, args }) =>
      run(task, args, {
        TMPDIR: folder,
        LOCAL_DIR: join(folder, "local"),
        SUPABASE_URL: address,
        SUPABASE_SECRET_KEYS: JSON.stringify({ default: SECRET }),
        STRIPE_SECRET_KEY: "sk_test_" + "0".repeat(20),
        STRIPE_API_BASE: address,
      })
    ));
    assert.deepEqual(calls, [], "nothing is called");
    assert.deepEqual([...Deno.readDirSync(folder)], [], "nothing is written");
    assert.deepEqual(await generatedAt(), before, "no file of the checkout is written");
    return ended;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function generatedAt(): Promise<unknown[]> {
  return Promise.all(GENERATED.map(async (path) => (await Deno.stat(join(ROOT, path))).mtime));
}

Deno.test("every task has a description, and README.md names it", async () => {
  assert.deepEqual(Object.keys(tasks).sort(), Object.keys(EXPECTED).sort());
  const readme = await Deno.readTextFile(join(ROOT, "README.md"));
  for (const [name, task] of Object.entries(tasks)) {
    assert.ok(task.description.length > 10, name);
    assert.ok(readme.includes(`\`deno task ${name}\``), name);
  }
});

function flagsIn(text: string): string[] {
  return [...new Set(text.match(/--[a-z][a-z-]*/g))].sort();
}

Deno.test("every task answers --help with its usage, which docs/contract.md repeats, and does nothing else", async () => {
  const page = await Deno.readTextFile(join(ROOT, "docs/contract.md"));
  const contract = new Map(
    [...page.matchAll(/^\| `deno task (\w+)` +\|([^|]*)\|/gm)].map((
      [, task = "", flags = ""],
    ) => [task, flags]),
  );
  const lines = Object.keys(tasks).map((task) => ({ task, args: ["--frehs", "--help"] }));
  for (const [at, { code, out, err }] of (await runHarmless(lines)).entries()) {
    const task = lines[at]?.task;
    assert.equal(code, 0, `${task}: ${err}`);
    assert.equal(err, "", task);
    assert.match(out, new RegExp(`^deno task ${task}( [[A-Z]|\\n)`));
    const [synopsis = ""] = out.split("\n\n", 1);
    assert.deepEqual(
      flagsIn(contract.get(task ?? "") ?? ""),
      flagsIn(synopsis),
      `${task} in docs/contract.md`,
    );
  }
});

Deno.test("every task answers what makes no sense with one line and code 2", async () => {
  const lines = Object.entries(EXPECTED).flatMap(([task, { wrong }]) =>
    [["--frehs"], ...wrong].map((args) => ({ task, args }))
  );
  for (const [at, { code, out, err }] of (await runHarmless(lines)).entries()) {
    const { task, args } = lines[at] ?? { task: "", args: [] };
    const shown = `${task} ${args.join(" ")}: ${out}${err}`;
    assert.equal(code, 2, shown);
    assert.equal(out, "", shown);
    assert.match(err, new RegExp(`^[^\\n]+; usage: deno task ${task}( [^\\n]*)?\\n$`), shown);
  }
});

Deno.test("what works offline refuses a shell that names a real project, and says why", async () => {
  const shells: [string, Record<string, string>][] = [
    ["SUPABASE_URL", { SUPABASE_URL: "https://abcdefghijklmnopqrst.supabase.co" }],
    ["SUPABASE_SECRET_KEYS", { SUPABASE_SECRET_KEYS: JSON.stringify({ default: SECRET }) }],
  ];
  const offline = Object.keys(EXPECTED).filter((task) => EXPECTED[task]?.offline);
  await Promise.all(offline.map(async (task, at) => {
    const [variable, shell] = shells[at % shells.length] ?? ["", {}];
    const { code, out, err } = await run(task, [], shell);
    assert.equal(code, 1, `${task}: ${out}${err}`);
    assert.equal(out, "", task);
    assert.match(
      err,
      new RegExp(`^${variable} .* offline .*unset SUPABASE_URL and SUPABASE_SECRET_KEYS`),
      task,
    );
    assert.ok(!err.includes(SECRET), task);
  }));
});

Deno.test("replay with a key of a Stripe test account does not mind a real project: it has no part in it", async () => {
  const { code, err } = await run("replay", [], {
    SUPABASE_URL: "https://abcdefghijklmnopqrst.supabase.co",
    STRIPE_SECRET_KEY: "sk_test_" + "0".repeat(20),
    STRIPE_CLI_PATH: "/bin/false",
  });
  assert.equal(code, 1);
  assert.match(err, /^stripe listen gives no signing secret[^\n]*\n$/);
});

Deno.test("refuseRealProject() lets nothing but this machine pass", () => {
  const keys = JSON.stringify({ default: SECRET });
  const passes = (given: Record<string, string>) => {
    try {
      refuseRealProject(given);
      return true;
    } catch {
      return false;
    }
  };
  assert.ok(passes({}));
  assert.ok(passes({ SUPABASE_URL: "", SUPABASE_SECRET_KEYS: " " }));
  for (
    const url of ["http://127.0.0.1:54321", "http://localhost:54321/", "http://[::1]:1", "http://127.8.0.1"]
  ) {
    assert.ok(isLoopback(url), url);
    assert.ok(passes({ SUPABASE_URL: url, SUPABASE_SECRET_KEYS: keys }), url);
  }
  for (
    const url of [
      "https://abcdefghijklmnopqrst.supabase.co",
      "http://127.0.0.1.example.com",
      "http://127.0.0.1@example.com",
      "http://localhost.example.com:54321",
      "http://10.0.0.7:8000",
      "not an address",
    ]
  ) {
    assert.ok(!passes({ SUPABASE_URL: url }), url);
  }
  assert.ok(!passes({ SUPABASE_SECRET_KEYS: keys }));
});

Deno.test("functionVariables() hands on what the functions read, but for what names a project", () => {
  const given = {
    SUPABASE_URL: "http://127.0.0.1:9",
    SUPABASE_PUBLISHABLE_KEYS: "{}",
    SUPABASE_SECRET_KEYS: "{}",
    SUPABASE_JWKS: "{}",
    VELOCITY_MODE: "off",
    HOME: "/",
  };
  assert.deepEqual(functionVariables(given), { SUPABASE_JWKS: "{}", VELOCITY_MODE: "off" });
});

Deno.test("openBackend() never takes the stack for a real project that is named without its keys", async () => {
  const shell: Record<string, string> = { SUPABASE_URL: "https://abcdefghijklmnopqrst.supabase.co" };
  await assert.rejects(
    openBackend((name) => shell[name]),
    /SUPABASE_SECRET_KEYS and STRIPE_SECRET_KEY are not set/,
  );
});

Deno.test("a task whose project refuses its key or does not answer says why in a few lines, and no stack", async () => {
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    return Response.json({ message: "Invalid API key" }, { status: 401 });
  });
  const env = {
    SUPABASE_URL: `http://127.0.0.1:${server.addr.port}`,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: SECRET }),
    STRIPE_SECRET_KEY: "sk_test_" + "0".repeat(20),
  };
  const lines: [string, string[]][] = [
    ["redrive", ["--all"]],
    ["reconcile", []],
    ["rescue", ["--dry-run"]],
    ["radar", []],
    ["trace", ["KCT-1"]],
  ];
  for (const [task, args] of lines) {
    const { code, err } = await run(task, args, env);
    assert.equal(code, 1, task);
    assert.match(err, /^ {2}Invalid API key$/m, task);
    assert.ok(err.trim().split("\n").length <= 3, `${task}: ${err}`);
  }
  const { code, err } = await run("redrive", ["--all"], { ...env, STRIPE_API_BASE: "nonsense" });
  assert.deepEqual([code, err], [1, "STRIPE_API_BASE=nonsense is no address: https://…\n"]);
});
