/**
 * What deploys is what was tested: setup's step and the official CLI upload one file per function, which has everything
 * in the versions of deno.lock, and which boots on the hosted runtime's Deno and on ours.
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { defaultFunctionEnv } from "../../scripts/local/function_env.ts";
import { makeKeys } from "../../scripts/local/keys.ts";
import { TextLineStream } from "../../scripts/lib/lines.ts";
import { runCommand } from "../../scripts/lib/command.ts";
import { npmProgram } from "../../scripts/lib/npm_program.ts";
import { deploymentArchive } from "../../scripts/live/bundle.ts";
import { sha256 } from "../../supabase/functions/_shared/text/sha256.ts";
import { bundleFunctions, functionNames } from "../../scripts/live/setup/bundle.ts";
import { functions } from "../../scripts/live/setup/functions.ts";
import type { SetupContext } from "../../scripts/live/setup/step.ts";
import { supabaseCli } from "../../scripts/live/setup/supabase.ts";
import { supabaseCliMissing } from "../../scripts/quality/ok/supabase_cli.ts";
import { startManagementApi, type Upload } from "../support/management_api.ts";
import { nonEmpty } from "../support/non_empty.ts";
import { skipWithout } from "../support/optional_tool.ts";
import { SUPABASE_DIR } from "../../scripts/lib/paths.ts";

/** The level of Deno that the hosted runtime is compatible with. */
const HOSTED_VERSION = "2.1.14";
const HOSTED_DENO = `deno@${HOSTED_VERSION}`;

/** Supabase takes 5 MB at a time with --use-api. */
const uploadLimit = 5_000_000;

const root = dirname(SUPABASE_DIR);
const hostedCache = await cacheOfItsOwn(`deno-${HOSTED_VERSION}`);
const ignore = skipWithout("the Supabase CLI", await supabaseCliMissing(root)) ||
  skipWithout(
    `Deno of the hosted runtime (npx ${HOSTED_DENO})`,
    await npmProgram(HOSTED_DENO, "deno").then(() => null, (error) => error.message),
  );

/** A Deno, and the environment that it needs. */
interface Program {
  path: string;
  env: Record<string, string>;
}

const ownDeno: Program = { path: Deno.execPath(), env: {} };

const uploads: Upload[] = [];
const folder = await Deno.makeTempDir({ prefix: "kct-deploy-" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));

Deno.test({
  name: "setup uploads every function as one file, without an import map and without JWT verification",
  ignore,
  async fn() {
    await using api = await startManagementApi();
    const values = { SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}`, SUPABASE_PROFILE: api.profile };
    const project = { values, ref: "a".repeat(20) };
    const plan = await functions.plan({ project, supabase: supabaseCli(project) } as unknown as SetupContext);
    assert.equal(api.uploads.length, 0);
    await plan.apply();
    assert.deepEqual(api.uploads.map((upload) => upload.slug).sort(), await functionNames());
    assert.deepEqual(api.released.map((released) => released.slug).sort(), await functionNames());
    for (const { slug, metadata, files } of api.uploads) {
      const path = `supabase/functions/${slug}/index.js`;
      assert.deepEqual([...files.keys()], [path]);
      assert.deepEqual(metadata, { ...metadata, entrypoint_path: path, verify_jwt: false });
      assert.equal(metadata.import_map_path ?? "", "");
      const size = files.get(path)?.length ?? 0;
      assert.ok(size < uploadLimit, `${slug} has ${size} characters`);
    }
    uploads.push(...api.uploads);
    for (const upload of uploads) await unpack(upload, join(folder, upload.slug));
  },
});

Deno.test({
  name: "the uploads import nothing but Deno's own modules, and their packages are those of deno.lock",
  ignore,
  async fn() {
    const lock: { npm: Record<string, unknown> } = JSON.parse(
      await Deno.readTextFile(join(root, "deno.lock")),
    );
    // A package that is resolved together with others has them after its version: name@1.0.0_other@2.0.0.
    const locked = new Set(Object.keys(lock.npm).map((key) => key.split("_")[0]));
    for (const upload of nonEmpty(uploads)) {
      const others = (await modulesOf(upload)).filter((specifier) => !specifier.startsWith("node:"));
      assert.deepEqual(others.map((specifier) => specifier.split("/").at(-1)), ["index.js"], upload.slug);
      const text = [...upload.files.values()].join();
      const inlined = new Set(
        [...text.matchAll(/^ *\/\/ node_modules\/\.deno\/([^/_]+)/gm)].map(([, name = ""]) =>
          name.replace("+", "/")
        ),
      );
      const client = "@supabase/postgrest-js";
      assert.ok(inlined.has(`${client}@${versionOf(client, locked)}`), `${upload.slug}: ${[...inlined]}`);
      assert.deepEqual([...inlined].filter((name) => !locked.has(name)), [], upload.slug);
    }
  },
});

Deno.test({
  name: "the archive of a deployment has what is deployed and the migrations, the same bytes each time",
  ignore,
  async fn() {
    const archive = await deploymentArchive(root);
    assert.equal(await sha256(await deploymentArchive(root)), await sha256(archive));
    const path = join(folder, "bundle.tar");
    await Deno.writeFile(path, archive);
    const listed = await runCommand("tar", ["-tf", path]);
    assert.ok(listed.success, listed.stderr);
    const names = listed.stdout.trim().split("\n");
    assert.equal(names.filter((name) => name.startsWith("supabase/functions/")).length, uploads.length);
    assert.ok(names.some((name) => /^supabase\/migrations\/\d{14}_\w+\.sql$/.test(name)), `${names}`);
    const unpacked = join(folder, "unpacked");
    await Deno.mkdir(unpacked);
    assert.ok((await runCommand("tar", ["-xf", path, "-C", unpacked])).success);
    for (const { slug, metadata, files } of uploads) {
      const text = await Deno.readTextFile(join(unpacked, metadata.entrypoint_path));
      assert.ok(text === files.get(metadata.entrypoint_path), `${slug} is what was uploaded`);
    }
  },
});

Deno.test("nothing is bundled when deno.lock does not have what the code imports", async () => {
  const checkout = await Deno.makeTempDir({ prefix: "kct-lock-" });
  try {
    for (const slug of ["a", "b"]) {
      await write(checkout, `supabase/functions/${slug}/index.ts`, `export { z } from "zod";`);
    }
    await write(
      checkout,
      "deno.json",
      JSON.stringify({ imports: { zod: "npm:zod@4.6.7" }, nodeModulesDir: "none" }),
    );
    const { npm } = JSON.parse(await Deno.readTextFile(join(root, "deno.lock")));
    const lock = (specifiers: Record<string, string>) =>
      write(
        checkout,
        "deno.lock",
        JSON.stringify({
          version: "5",
          specifiers,
          npm: { "zod@4.6.7": npm["zod@4.6.7"] },
          workspace: { dependencies: ["npm:zod@4.6.7"] },
        }),
      );
    await lock({ "npm:zod@4.6.7": "4.6.7" });
    assert.deepEqual([...(await bundleFunctions(checkout)).keys()], ["a", "b"]);
    await lock({});
    await assert.rejects(
      bundleFunctions(checkout),
      /^SetupError: the functions cannot be bundled: .*lockfile is out of date/s,
    );
  } finally {
    await Deno.remove(checkout, { recursive: true });
  }
});

Deno.test({
  name: `the functions' own files alone pass 'deno check' on ${HOSTED_DENO} and deno@${Deno.version.deno}`,
  ignore,
  async fn() {
    // One place per checkout: what passed there is not checked again while it is the same.
    const all = join(hostedCache, "uploads", root);
    await Deno.remove(all, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    await copy(join(SUPABASE_DIR, "functions"), join(all, "supabase", "functions"));
    const slugs = await functionNames();
    const programs = [await hostedDeno(), ownDeno];
    await Promise.all(programs.map((program) => check(program, all, slugs)));
  },
});

for (const [version, deno] of [[Deno.version.deno, () => ownDeno], [HOSTED_VERSION, hostedDeno]] as const) {
  Deno.test({
    name: `each upload alone boots and answers on deno@${version}`,
    ignore,
    async fn() {
      assert.ok(uploads.length > 0, "nothing was uploaded");
      const program = await deno();
      await eachOfTwo(uploads, (upload) => bootAndAsk(program, upload));
    },
  });
}

/** Every module that an upload needs, itself among them. */
async function modulesOf({ slug, metadata }: Upload): Promise<string[]> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-lock", "--no-config", metadata.entrypoint_path],
    cwd: join(folder, slug),
    stderr: "null",
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(output.stdout)) as {
    modules: { specifier: string; error?: string }[];
  };
  assert.deepEqual(modules.filter((module) => module.error !== undefined), [], slug);
  return modules.map(({ specifier }) => specifier);
}

function versionOf(name: string, locked: Set<string | undefined>): string {
  return [...locked].find((key) => key?.startsWith(`${name}@`))?.slice(name.length + 1) ?? "";
}

async function check({ path, env }: Program, cwd: string, slugs: string[]): Promise<void> {
  const entrypoints = slugs.map((slug) => `supabase/functions/${slug}/index.ts`);
  const output = await new Deno.Command(path, {
    args: ["check", "--quiet", "--no-lock", "--config", "supabase/functions/deno.json", ...entrypoints],
    cwd,
    env: { ...env, NO_COLOR: "1" },
  }).output();
  assert.ok(output.success, `${slugs.join(", ")}: ${new TextDecoder().decode(output.stderr)}`);
}

/** Serves the upload with an environment as a project sets it; any answer with our request id comes from our code. */
async function bootAndAsk(program: Program, { slug, metadata }: Upload): Promise<void> {
  const nowhere = "http://127.0.0.1:9";
  const env = defaultFunctionEnv(await makeKeys(), { api: nowhere, web: nowhere, stripe: nowhere });
  const args = ["serve", "-A", "--no-lock", "--no-config", "--no-npm", "--no-remote"];
  const server = new Deno.Command(program.path, {
    args: [...args, "--host", "127.0.0.1", "--port", "0", metadata.entrypoint_path],
    cwd: join(folder, slug),
    env: { ...program.env, ...env, NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const { promise: address, resolve: listens } = Promise.withResolvers<string | null>();
  const lines: string[] = [];
  const follow = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    for await (const line of stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
      lines.push(line);
      const url = /Listening on (http\S+)/.exec(line)?.[1];
      if (url !== undefined) listens(url);
    }
  };
  let ended = false;
  const exit = Promise.all([
    server.status.then(() => ended = true),
    follow(server.stdout),
    follow(server.stderr),
  ])
    .then(() => listens(null));
  try {
    const url = await address;
    if (url === null) throw new Error(`${slug} ended: ${lines.join("\n")}`);
    const answer = await fetch(new URL(slug, url));
    await answer.body?.cancel();
    assert.ok(answer.headers.has("x-request-id"), `${slug} answered ${answer.status} without x-request-id`);
  } finally {
    if (!ended) server.kill("SIGKILL");
    await exit;
  }
}

async function unpack(upload: Upload, into: string): Promise<void> {
  for (const [path, text] of upload.files) await write(into, path, text);
}

async function copy(from: string, to: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copy(join(from, name), join(to, name));
    else await write(to, name, await Deno.readTextFile(join(from, name)));
  }
}

async function write(into: string, path: string, text: string): Promise<void> {
  await Deno.mkdir(dirname(join(into, path)), { recursive: true });
  await Deno.writeTextFile(join(into, path), text);
}

/** The hosted runtime's Deno itself: the package's launcher would outlive it, or the other way round. */
async function hostedDeno(): Promise<Program> {
  const env = { DENO_DIR: hostedCache };
  const output = await new Deno.Command(await npmProgram(HOSTED_DENO, "deno"), {
    args: ["eval", "console.log(Deno.execPath())"],
    cwd: folder,
    env,
  }).output();
  assert.ok(output.success, new TextDecoder().decode(output.stderr));
  return { path: new TextDecoder().decode(output.stdout).trim(), env };
}

/**
 * A cache for another version of Deno, within this one's, with the packages of this one: in a cache that two versions
 * share, each throws away what the other has checked and compiled.
 */
async function cacheOfItsOwn(name: string): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { denoDir, npmCache } = JSON.parse(new TextDecoder().decode(stdout));
  const cache = join(denoDir, name);
  await Deno.mkdir(cache, { recursive: true });
  await Deno.symlink(npmCache, join(cache, "npm"), { type: "dir" }).catch((error) => {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  });
  return cache;
}

/** Two at a time: a check takes one core. */
async function eachOfTwo<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all([worker(), worker()]);
}
