/** docs/architecture.md draws the layout; here the pictures are held against what the gate enforces. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { boundaries } from "../../scripts/quality/ok/boundaries.ts";
import { runCommand } from "../../scripts/lib/command.ts";
import { ROOT, SUPABASE_DIR } from "../../scripts/lib/paths.ts";
import { schemaPaths } from "../../scripts/lib/schemas.ts";

const page = await Deno.readTextFile(join(ROOT, "docs/architecture.md"));
const SHARED = "supabase/functions/_shared/";

/** A flowchart: labels of its nodes, and for each the labels that arrows lead to, over any number of them. */
function readGraph(text: string): Map<string, Set<string>> {
  const labels = new Map<string, string>();
  const arrows: [string, string][] = [];
  for (const line of text.split("\n").slice(1).filter((line) => line.trim() !== "")) {
    const sides = line.split("-->").map((side) =>
      side.split("&").map((node) => {
        const [, id = "", label] = /^\s*(\w+)(?:\["([^"]+)"\])?\s*$/.exec(node) ?? assert.fail(line);
        if (label !== undefined) labels.set(id, label);
        return id;
      })
    );
    const [from, to] = sides;
    assert.ok(from !== undefined && to !== undefined && sides.length === 2, line);
    for (const start of from) for (const end of to) arrows.push([start, end]);
  }
  const reached = (id: string, found = new Set<string>()): Set<string> => {
    for (const [, end] of arrows.filter(([start]) => start === id)) {
      if (!found.has(end)) reached(end, found.add(end));
    }
    return found;
  };
  const labelOf = (id: string) => labels.get(id) ?? assert.fail(`${id} has no label`);
  const ids = [...new Set(arrows.flat())];
  return new Map(ids.map((id) => [labelOf(id), new Set([...reached(id)].map(labelOf))]));
}

const [roofs, rooms] = [...page.matchAll(/```mermaid\n(flowchart[\s\S]*?)```/g)]
  .map(([, text = ""]) => readGraph(text));

/** The pairs `from → to` of folders that the gate lets import each other. */
async function allowedImports(folders: string[], fileIn: (folder: string) => string): Promise<string[]> {
  const root = await Deno.makeTempDir();
  const pairs = folders.flatMap((from) => folders.filter((to) => to !== from).map((to) => ({ from, to })));
  try {
    await runCommand("git", ["init", "-q"], { cwd: root });
    for (const from of folders) {
      const path = fileIn(from);
      const depth = "../".repeat(path.split("/").length - 1);
      const imports = folders.filter((to) => to !== from).map((to) => `import "${depth}${fileIn(to)}";\n`);
      await Deno.mkdir(join(root, dirname(path)), { recursive: true });
      await Deno.writeTextFile(join(root, path), imports.join(""));
    }
    const result = await boundaries.run({ root, write: false, adminUrl: "" });
    const problems = result.kind === "failed" ? result.problems : [];
    const refused = ({ from, to }: { from: string; to: string }) =>
      problems.some((problem) =>
        problem.startsWith(`${fileIn(from)}:`) && problem.includes(`/${fileIn(to)}: `)
      );
    return pairs.filter((pair) => !refused(pair)).map(({ from, to }) => `${from} → ${to}`).sort();
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

function drawn(graph: Map<string, Set<string>>): string[] {
  return [...graph].flatMap(([from, ends]) => [...ends].map((to) => `${from} → ${to}`)).sort();
}

Deno.test("docs/architecture.md draws the roofs as the gate holds them apart", async () => {
  assert.ok(roofs !== undefined);
  assert.deepEqual(drawn(roofs), await allowedImports([...roofs.keys()], (roof) => `${roof}a/b.ts`));
});

Deno.test("docs/architecture.md draws every room of _shared/ as the gate holds them apart", async () => {
  assert.ok(rooms !== undefined);
  const present = [...Deno.readDirSync(join(ROOT, SHARED))].map(({ name }) => name);
  assert.deepEqual([...rooms.keys()].sort(), present.sort());
  const fileIn = (room: string) => SHARED + (room.endsWith(".ts") ? room : `${room}/a.ts`);
  assert.deepEqual(drawn(rooms), await allowedImports([...rooms.keys()], fileIn));
});

Deno.test("docs/architecture.md lists the rooms, and the subjects of the schema in their order", async () => {
  const listed = [...page.matchAll(/^\| `([\w.]+)` +\|/gm)].map(([, name = ""]) => name);
  const subjects = [...new Set((await schemaPaths(SUPABASE_DIR)).map((path) => path.split("/")[1] ?? ""))];
  assert.deepEqual(listed.slice(-subjects.length), subjects);
  assert.deepEqual(listed.slice(0, -subjects.length).sort(), [...rooms?.keys() ?? []].sort());
});
