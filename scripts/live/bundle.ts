/** `deno task bundle`: writes what a deployment consists of as one archive, the same bytes for the same checkout. */
import { join } from "node:path";
import { bundleFunctions, deploymentFiles } from "./setup/bundle.ts";
import { ROOT } from "../lib/paths.ts";
import { runTask } from "../lib/task.ts";

const usage = `deno task bundle [--out FILE]

  --out   where to write the archive (bundle.tar): each function as one file, their settings, the migrations`;

const flags = { out: { type: "string", default: "bundle.tar" } } as const;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      run: async ({ values }) => {
        const archive = await deploymentArchive(ROOT);
        await Deno.writeFile(values.out, archive);
        console.log(`${values.out}: ${archive.length} bytes`);
        return 0;
      },
    }, Deno.args),
  );
}

/** The functions as they are deployed, and the migrations, as a tar archive without times or owners. */
export async function deploymentArchive(root: string): Promise<Uint8Array> {
  const files = new Map(await deploymentFiles(await bundleFunctions(root), root));
  const migrations = join("supabase", "migrations");
  for await (const { name } of Deno.readDir(join(root, migrations))) {
    files.set(`${migrations}/${name}`, await Deno.readTextFile(join(root, migrations, name)));
  }
  const blocks = [...files].sort(([a], [b]) => a < b ? -1 : 1).flatMap(([path, text]) => entry(path, text));
  // Two empty blocks are the end.
  return new Uint8Array(await new Blob([...blocks, new Uint8Array(1024)]).arrayBuffer());
}

/** One file in the format that POSIX calls ustar: a header of 512 bytes, and the content in blocks of that length. */
function entry(path: string, text: string): Uint8Array<ArrayBuffer>[] {
  const content = new TextEncoder().encode(text);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  const header = new Uint8Array(512);
  const write = (at: number, field: string) => header.set(new TextEncoder().encode(field), at);
  write(0, path);
  write(100, octal(0o644, 7));
  write(108, octal(0, 7));
  write(116, octal(0, 7));
  write(124, octal(content.length, 11));
  write(136, octal(0, 11));
  write(148, " ".repeat(8));
  write(156, "0");
  write(257, "ustar\x0000");
  write(148, `${octal(header.reduce((sum, byte) => sum + byte, 0), 6)} `);
  return [header, content, new Uint8Array((512 - content.length % 512) % 512)];
}
