import assert from "node:assert/strict";
import { freePort } from "../../scripts/lib/ports.ts";
import { NEW_DATA_VARIABLE, type Postgres, startPostgres } from "../../scripts/local/postgres.ts";
import { startStack } from "../../scripts/local/stack.ts";
import { eventually } from "../support/poll.ts";
import { connect } from "../../scripts/lib/connection.ts";
import { StackError } from "../../scripts/lib/errors.ts";

const PARENT = new URL("../support/postgres_parent.ts", import.meta.url).pathname;

function startParent(dir: string) {
  const args = ["run", "-A", "--quiet", "--no-check", PARENT, dir];
  return new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
}

async function query(server: Postgres, text: string): Promise<unknown> {
  const sql = connect(server.url);
  try {
    const [row] = await sql.unsafe(text);
    return row === undefined ? undefined : Object.values(row)[0];
  } finally {
    await sql.end();
  }
}

async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "kct-postgres-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("startPostgres() gives PostgreSQL 17 on 127.0.0.1 and keeps the data over a restart", async () => {
  await using dir = await temporaryFolder();
  const first = await startPostgres({ dir: dir.path, port: 0 });
  assert.equal(first.created, true);
  assert.match(`${await query(first, "show server_version")}`, /^17\./);
  assert.equal(await query(first, "show listen_addresses"), "127.0.0.1");
  await query(first, "create table kept as select 42 as n");
  await first.stop();
  const second = await startPostgres({ dir: dir.path, port: 0 });
  assert.deepEqual([second.created, await query(second, "select n from kept")], [false, 42]);
  await second.stop();
});

Deno.test("startPostgres() comes back with committed data after its parent and it were killed with -9", async () => {
  await using dir = await temporaryFolder();
  const parent = startParent(dir.path);
  const url = await firstLine(parent.stdout);
  const sql = connect(url);
  await sql`create table kept as select 42 as n`;
  await sql.end({ timeout: 0 }).catch(() => {});
  const pid = Number((await Deno.readTextFile(`${dir.path}/data/postmaster.pid`)).split("\n")[0]);
  Deno.kill(pid, "SIGKILL");
  parent.kill("SIGKILL");
  await parent.status;

  const server = await startPostgres({ dir: dir.path, port: 0 });
  assert.equal(await query(server, "select n from kept"), 42);
  await server.stop();
});

Deno.test({
  name: "startPostgres() waits for what a server that was killed with -9 had still to do",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using dir = await temporaryFolder();
    const parent = startParent(dir.path);
    const sql = connect(await firstLine(parent.stdout));
    const [backend] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
    assert.ok(backend);
    Deno.kill(backend.pid, "SIGSTOP");
    const pid = Number((await Deno.readTextFile(`${dir.path}/data/postmaster.pid`)).split("\n")[0]);
    Deno.kill(pid, "SIGKILL");
    parent.kill("SIGKILL");
    await parent.status;
    const starting = startPostgres({ dir: dir.path, port: 0 });
    // A failure is the test's, at the end.
    starting.catch(() => {});
    try {
      await eventually(
        "the new server to find the data in use",
        async () => (await Deno.readTextFile(`${dir.path}/log`)).includes("still in use"),
      );
    } finally {
      Deno.kill(backend.pid, "SIGCONT");
    }
    await (await starting).stop();
    await sql.end({ timeout: 0 }).catch(() => {});
  },
});

Deno.test("startPostgres() leaves no server behind when its parent is killed with -9", async () => {
  await using dir = await temporaryFolder();
  const parent = startParent(dir.path);
  await firstLine(parent.stdout);
  parent.kill("SIGKILL");
  await parent.status;
  await eventually("the server to remove its pid file", async () => {
    return await Deno.stat(`${dir.path}/data/postmaster.pid`).then(() => false, () => true);
  });
});

Deno.test("startPostgres() names the port and the fix when the port is taken", async () => {
  await using dir = await temporaryFolder();
  const port = freePort();
  using _holder = Deno.listen({ hostname: "127.0.0.1", port });
  const error = await startPostgres({ dir: dir.path, port }).catch((error) => error);
  assert.ok(error instanceof StackError);
  assert.match(error.message, new RegExp(`Port ${port} .*LOCAL_DB_PORT`));
});

Deno.test("startPostgres() names the folder and the fix when the data is half-written", async () => {
  await using dir = await temporaryFolder();
  await Deno.mkdir(`${dir.path}/data`);
  await Deno.writeTextFile(`${dir.path}/data/PG_VERSION`, "17\n");
  const error = await startPostgres({ dir: dir.path, port: 0 }).catch((error) => error);
  assert.ok(error instanceof StackError);
  assert.ok(error.message.includes(`${dir.path}/data`) && error.message.includes("--fresh"), error.message);
});

Deno.test("startPostgres() names the log and the fix when the server does not start", async () => {
  await using dir = await temporaryFolder();
  const server = await startPostgres({ dir: dir.path, port: 0 });
  await server.stop();
  await Deno.truncate(`${dir.path}/data/global/pg_control`);
  const error = await startPostgres({ dir: dir.path, port: 0 }).catch((error) => error);
  assert.ok(error instanceof StackError);
  assert.ok(error.message.includes(`${dir.path}/log`) && error.message.includes("--fresh"), error.message);
});

Deno.test("startPostgres() starts over where creating the data was interrupted", async () => {
  await using dir = await temporaryFolder();
  await Deno.mkdir(`${dir.path}/partial-1/base`, { recursive: true });
  const server = await startPostgres({ dir: dir.path, port: 0 });
  await server.stop();
  const names = [];
  for await (const entry of Deno.readDir(dir.path)) names.push(entry.name);
  assert.deepEqual(names.sort(), ["data", "log"]);
});

/** What a start of the server needs of a checkout. */
const NEEDED = [
  "deno.json",
  "deno.lock",
  "supabase/functions/deno.json",
  "scripts/stand-in/deno.json",
  "scripts/lib",
  "scripts/local",
  "tests/support",
];

for (const umask of ["022", "077"]) {
  Deno.test({
    name: `startPostgres() works for root in a checkout that nobody else may enter, umask ${umask}`,
    ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
    async fn() {
      // makeTempDir() makes folders that only root may enter; spaces and letters beyond ASCII come with it.
      await using dir = await temporaryFolder();
      const checkout = `${dir.path}/Geschäft für Anzüge`;
      const root = new URL("../..", import.meta.url).pathname;
      const script = `umask ${umask} && mkdir -p "$1" && cd "$2" && cp -r --parents ${
        NEEDED.join(" ")
      } "$1" && cd "$1" &&
        "$DENO" install --quiet && exec "$DENO" run -A --quiet --no-check tests/support/postgres_parent.ts .local/postgres`;
      const parent = new Deno.Command("sh", {
        args: ["-c", script, "sh", checkout, root],
        // As on a machine where nothing has been created yet.
        env: { DENO: Deno.execPath(), [NEW_DATA_VARIABLE]: "" },
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const said = new Response(parent.stderr).text();
      try {
        const url = await firstLine(parent.stdout).catch(async (error) => {
          throw new Error(`${error.message} ${await said}`);
        });
        const sql = connect(url);
        assert.deepEqual([...await sql`select 42 as n`], [{ n: 42 }]);
        await sql.end({ timeout: 1 });
        assert.equal(
          (await Deno.stat(`${checkout}/.local/postgres/data`)).isDirectory,
          true,
          "the data is in its folder",
        );
      } finally {
        parent.kill("SIGKILL");
        await parent.status;
        await eventually("the server to remove its pid file", async () => {
          return await Deno.stat(`${checkout}/.local/postgres/data/postmaster.pid`).then(
            () => false,
            () => true,
          );
        });
      }
    },
  });
}

Deno.test("startStack() names LOCAL_DIR when its folder cannot be written", async () => {
  await using dir = await temporaryFolder();
  // A file where a folder should be: root writes into any folder that is not mounted read-only.
  await Deno.writeTextFile(`${dir.path}/file`, "");
  const error = await startStack({ dir: `${dir.path}/file/.local` }).catch((error) => error);
  assert.ok(error instanceof StackError);
  assert.match(error.message, /cannot be written: choose another with LOCAL_DIR=<folder>/);
});

async function firstLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the process ended after: ${text}`);
    text += value;
  }
  await reader.cancel();
  return text.slice(0, text.indexOf("\n"));
}
