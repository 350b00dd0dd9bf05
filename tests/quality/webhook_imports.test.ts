/** What stripe-webhook loads before its first answer: each module of it is part of a cold start. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT } from "../../scripts/lib/paths.ts";
import { runCommand } from "../../scripts/lib/command.ts";

interface Info {
  specifier: string;
  dependencies?: { code?: { specifier?: string }; isDynamic?: boolean }[];
}

/** Everything that an entry point loads at once; imports of types and dynamic ones load nothing. */
async function loaded(entry: string): Promise<string[]> {
  const path = join(ROOT, entry);
  const { success, stdout, stderr } = await runCommand(Deno.execPath(), ["info", "--json", path], {
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  });
  assert(success, stderr);
  const modules: Info[] = JSON.parse(stdout).modules;
  const waiting = modules.filter(({ specifier }) => specifier.endsWith(`/${entry}`))
    .map(({ specifier }) => specifier);
  const found = new Set<string>();
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    for (
      const { code, isDynamic } of modules.find(({ specifier }) => specifier === next)?.dependencies ?? []
    ) {
      if (code?.specifier !== undefined && !isDynamic) waiting.push(code.specifier);
    }
  }
  return [...found];
}

Deno.test("stripe-webhook loads the calls that a delivery needs, and neither Stripe's SDK nor the checkout", async () => {
  const modules = await loaded("supabase/functions/stripe-webhook/index.ts");
  const shared = modules.flatMap((path) => path.split("/functions/_shared/")[1] ?? []);
  assert.deepEqual(
    shared.filter((path) => path.startsWith("database/")).sort(),
    [
      "database/client.ts",
      "database/events.ts",
      "database/limits.ts",
      "database/line.ts",
      "database/metrics.ts",
      "database/storable.ts",
      "database/webhooks.ts",
    ],
  );
  assert.deepEqual(shared.filter((path) => /^(checkout|jobs|mails)\//.test(path)), []);
  assert.deepEqual(modules.filter((path) => /npm:\/?stripe@/.test(path)), []);
});
