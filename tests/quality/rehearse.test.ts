/** `deno task rehearse` as a process: what it prints, and that nothing of its shadow is left. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { TextLineStream } from "../../scripts/lib/lines.ts";
import { lifecycle, openShop, tellOrder } from "../db/rehearse/log.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

const live = await createTestDatabase();
Deno.test.afterAll(() => live.drop());
await openShop(live.sql);
const story = await tellOrder(live.sql, lifecycle("full refund"), "R");

function start(folder: string, args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", "scripts/quality/rehearse.ts", ...args],
    cwd: ROOT,
    env: { TMPDIR: folder, NO_COLOR: "1", SUPABASE_DB_URL: live.url },
    // A process group of its own, as a terminal gives to each command.
    detached: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** A folder for temporary files that must be empty in the end. */
async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "kct-rehearse-test-" });
  try {
    await Deno.chmod(folder, 0o755);
    await work(folder);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("rehearse prints what differs, exits 1, and leaves nothing: not of itself, nor of one that was killed", async () => {
  const { orderNumber } = story.frame;
  await live.sql`update public.orders set amount_refunded = 1 where number = ${orderNumber}`;
  // This checkout has a migration that is new to the live database.
  await live.sql`delete from supabase_migrations.schema_migrations
    where version = (select max(version) from supabase_migrations.schema_migrations)`;
  await inFolder(async (folder) => {
    await Deno.mkdir(join(folder, "kct-rehearsal-999999999-left", "data"), { recursive: true });
    const { code, stdout } = await start(folder, []).output();
    assert.match(
      new TextDecoder().decode(stdout),
      new RegExp(
        `^1 orders and \\d events rehearsed in \\d+ s\\.\n\nOrder ${orderNumber}\n` +
          "  orders\\.amount_refunded: 1 → 25800\n\n1 of 1 orders differ\\.\n$",
      ),
    );
    assert.equal(code, 1);
  });
});

Deno.test("rebuild names an address at which no database answers, in one line", async () => {
  const url = "postgresql://postgres@127.0.0.1:1/postgres";
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", "scripts/quality/rebuild.ts", "--dry-run", "--db-url", url],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stderr: "piped",
  }).output();
  const told = new TextDecoder().decode(stderr).trim().split("\n");
  assert.match(told.at(-1) ?? "", /^connect ECONNREFUSED 127\.0\.0\.1:1.*: is that the right address/);
  assert.equal(told.filter((line) => line.includes("ECONNREFUSED")).length, 1);
  assert.equal(code, 1);
});

Deno.test("rehearse that is interrupted removes its shadow before it ends", async () => {
  await inFolder(async (folder) => {
    const child = start(folder, ["--json"]);
    const printed = new Response(child.stdout).text();
    const lines = child.stderr.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    for await (const line of lines) {
      if (!line.startsWith("Copying")) continue;
      assert.equal([...Deno.readDirSync(folder)].length, 1, "the shadow is there");
      Deno.kill(-child.pid, "SIGINT");
    }
    assert.equal((await child.status).code, 130);
    assert.equal(await printed, "");
  });
});
