/** What deploys is what runs: the official CLI's uploads alone check and boot on the hosted runtime's Deno and on ours. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { defaultFunctionEnv } from "../../scripts/local/function_env.ts";
import { makeKeys } from "../../scripts/local/keys.ts";
import { TextLineStream } from "../../scripts/lib/lines.ts";
import { npmProgram } from "../../scripts/lib/npm_program.ts";
import { runSupabase } from "../../scripts/lib/supabase_cli.ts";
import { supabaseCliMissing } from "../../scripts/quality/ok/supabase_cli.ts";
import { startManagementApi, type Upload } from "../support/management_api.ts";
import { skipWithout } from "../support/optional_tool.ts";
import { SUPABASE_DIR } from "../../scripts/lib/paths.ts";

/** The level of Deno that the hosted runtime is compatible with. */
const HOSTED_VERSION = "2.1.14";
const HOSTED_DENO = `deno@${HOSTED_VERSION}`;

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
  name: "functions deploy uploads every function with its import map, without JWT verification",
  ignore,
  async fn() {
    await using api = await startManagementApi();
    const args = [
      "functions",
      "deploy",
      "--yes",
      "--use-api",
      `--remote=${"a".repeat(20)}`,
      "--profile",
      api.profile,
    ];
    const output = await runSupabase(args, root, { SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}` });
    assert.ok(output.success, output.stderr);
    assert.deepEqual(api.uploads.map((upload) => upload.slug).sort(), await functionNames());
    assert.deepEqual(api.released.map((released) => released.slug).sort(), await functionNames());
    for (const { slug, metadata } of api.uploads) {
      assert.deepEqual(metadata, {
        ...metadata,
        entrypoint_path: `supabase/functions/${slug}/index.ts`,
        import_map_path: "supabase/functions/deno.json",
        verify_jwt: false,
      });
    }
    uploads.push(...api.uploads);
    for (const upload of uploads) await unpack(upload, join(folder, upload.slug));
  },
});

Deno.test({
  name: "the uploads carry nothing but the functions' own files",
  ignore,
  fn() {
    for (const upload of uploads) {
      const strange = [...upload.files.keys()].filter((path) =>
        path !== "supabase/functions/deno.json" && !path.startsWith("supabase/functions/_shared/") &&
        !path.startsWith(`supabase/functions/${upload.slug}/`)
      );
      assert.deepEqual(strange, [], upload.slug);
    }
  },
});

Deno.test({
  name:
    `each upload has all that it imports, and they pass 'deno check' on ${HOSTED_DENO} and deno@${Deno.version.deno}`,
  ignore,
  async fn() {
    assert.ok(uploads.length > 0, "nothing was uploaded");
    const texts = new Map<string, string>();
    for (const [path, text] of uploads.flatMap((upload) => [...upload.files])) {
      assert.equal(texts.get(path) ?? text, text, `${path} differs between uploads`);
      texts.set(path, text);
    }
    // One place per checkout: what passed there is not checked again while it is the same.
    const all = join(hostedCache, "uploads", root);
    for (const upload of uploads) await unpack(upload, all);
    // The same files, so one check speaks for each of them, once each upload is known to be complete.
    await eachOfTwo(uploads, ({ slug }) => requireComplete(join(folder, slug), slug));
    const slugs = uploads.map((upload) => upload.slug);
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

/** Every module that the entrypoint reaches, types included, is in the upload. */
async function requireComplete(cwd: string, slug: string): Promise<void> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: [
      "info",
      "--json",
      "--no-lock",
      "--config",
      "supabase/functions/deno.json",
      `supabase/functions/${slug}/index.ts`,
    ],
    cwd,
    stderr: "null",
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(output.stdout)) as {
    modules: { specifier: string; error?: string }[];
  };
  assert.ok(modules.length > 1, `${slug}: nothing was read`);
  assert.deepEqual(modules.filter((module) => module.error !== undefined), [], slug);
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
  const args = ["serve", "-A", "--no-lock", "--host", "127.0.0.1", "--port", "0"];
  const server = new Deno.Command(program.path, {
    args: [...args, "--config", metadata.import_map_path, metadata.entrypoint_path],
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
  for (const [path, text] of upload.files) {
    const target = join(into, path);
    await Deno.mkdir(dirname(target), { recursive: true });
    await Deno.writeTextFile(target, text);
  }
}

async function functionNames(): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(join(SUPABASE_DIR, "functions"))) {
    if (entry.isDirectory && !entry.name.startsWith("_")) names.push(entry.name);
  }
  return names.sort();
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
