/** What documents, code and comments say of each other's places is true. */
import assert from "node:assert/strict";
import { dirname, join, normalize } from "node:path";
import { runCommand } from "../../scripts/lib/command.ts";
import { ROOT } from "../../scripts/lib/paths.ts";

const listed = await runCommand("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: ROOT });
const paths = new Set(listed.stdout.split("\0").filter((path) => path !== ""));

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(join(ROOT, path));
}

function named(ending: RegExp): string[] {
  return [...paths].filter((path) => ending.test(path)).sort();
}

/** Ids that GitHub gives the headings of a page. */
function anchors(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, "");
  return [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-")
  );
}

Deno.test("links between documents lead to files and headings that exist", async () => {
  const broken: string[] = [];
  for (const path of named(/\.md$/)) {
    for (const [, target = ""] of (await read(path)).matchAll(/\]\(([^()\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file = "", anchor] = target.split("#");
      const full = file === "" ? path : normalize(join(dirname(path), file));
      const isFolder = [...paths].some((other) => other.startsWith(full.endsWith("/") ? full : `${full}/`));
      if (!paths.has(full) && !isFolder) broken.push(`${path}: ${target}`);
      else if (anchor !== undefined && !anchors(await read(full)).includes(anchor)) {
        broken.push(`${path}: ${target} has no such heading`);
      }
    }
  }
  assert.deepEqual(broken, []);
});

Deno.test("documents that code and other documents name exist", async () => {
  const broken: string[] = [];
  for (const path of named(/\.(ts|sql|md|yml|toml|example)$|^\.ci\/run$/)) {
    for (
      const [name] of (await read(path)).matchAll(
        /(?<![\w./-])docs\/[\w/-]+\.(?:md|json)\b|\b[A-Z]{4,}\.md\b/g,
      )
    ) {
      if (!paths.has(name)) broken.push(`${path}: ${name}`);
    }
  }
  assert.deepEqual(broken, []);
});

Deno.test("paths that documents name exist", async () => {
  const broken: string[] = [];
  for (const path of named(/^(docs\/[\w/-]+|[A-Z]+)\.md$/)) {
    const places = (await read(path)).matchAll(/`((?:supabase|scripts|tests|docs)\/[\w./-]*)`/g);
    for (const [, place = ""] of places) {
      const exists = paths.has(place) ||
        [...paths].some((other) => other.startsWith(place.replace(/\/?$/, "/")));
      if (!exists) broken.push(`${path}: ${place}`);
    }
  }
  assert.deepEqual(broken, []);
});

Deno.test("each decision has a number of its own, a date and a status", async () => {
  const text = await read("docs/decisions.md");
  const headings = [...text.matchAll(/^### .*$/gm)].map(([heading]) => heading);
  const entry = /^### (\d+)\. .+\n\n_(?:Accepted|Replaced by \d+), \d{4}-\d{2}-\d{2}\._$/gm;
  const numbers = [...text.matchAll(entry)].map(([, number]) => Number(number));
  assert.equal(numbers.length, headings.length, "every heading is an entry with its status");
  assert.deepEqual(
    numbers.sort((a, b) => a - b),
    headings.map((_, at) => at + 1),
    "no number twice, none left out",
  );
});
