/** docs/logs.md lists what the functions write, and nothing else. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { runCommand } from "../../scripts/lib/command.ts";
import { ROOT } from "../../scripts/lib/paths.ts";
import { nonEmpty } from "../support/non_empty.ts";

const folder = "supabase/functions";

/** Messages of the code with their levels; what a webhook's alerts are called is written under their name. */
async function written(): Promise<Set<string>> {
  const { stdout } = await runCommand("git", ["ls-files", "-co", "--exclude-standard", folder], {
    cwd: ROOT,
  });
  const found = new Set<string>();
  for (const path of stdout.split("\n").filter((path) => path.endsWith(".ts") && !path.endsWith("/log.ts"))) {
    const text = await Deno.readTextFile(join(ROOT, path));
    const calls = [...text.matchAll(/\b(?:log|logger)\.(info|warn|error)\(\s*([^,)]+)/g)];
    for (const [, level, message = ""] of calls) {
      if (message.startsWith('"')) found.add(`${JSON.parse(message)} ${level}`);
      else {
        const names = [...text.matchAll(/\braise\("(\w+)"/g)].map(([, name]) => name);
        assert(message === "kind" && names.length > 0, `${path}: the message ${message} is not constant`);
        for (const name of names) found.add(`${name} ${level}`);
      }
    }
  }
  // Written by log.ts itself, for the tracer.
  return found.add("traces_not_sent warn");
}

Deno.test("docs/logs.md has every message with its levels", async () => {
  const page = await Deno.readTextFile(join(ROOT, "docs/logs.md"));
  const rows = page.matchAll(/^\| `(\w+)` +\| ((?:`(?:info|warn|error)`(?:, )?)+) +\|/gm);
  const listed = [...rows].flatMap(([, message, levels = ""]) =>
    [...levels.matchAll(/\w+/g)].map(([level]) => `${message} ${level}`)
  );
  assert.deepEqual(listed.toSorted(), [...await written()].toSorted());
});

Deno.test("messages are snake_case", async () => {
  for (const message of nonEmpty(await written())) assert.match(message, /^[a-z][a-z0-9]*(_[a-z0-9]+)+ \w+$/);
});
