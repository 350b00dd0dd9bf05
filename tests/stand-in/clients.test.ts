import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { runCommand } from "../../scripts/lib/command.ts";
import { TextLineStream } from "../../scripts/lib/lines.ts";
import { skipWithout } from "../support/optional_tool.ts";
import { TEST_KEY } from "./stand_in.ts";

const { test } = Deno;

const STAND_IN = new URL("../../scripts/stand-in/", import.meta.url).pathname;
const CLIENTS = new URL("./clients/", import.meta.url).pathname;
/** Speaks the API version of the stand-in; stripe-go's newest speaks an older one. */
const PYTHON_PACKAGE = "stripe==16.1.0";

/** What a client of any language must see of the same day. */
const SEEN = {
  same_session: true,
  amount_total: 11_800,
  payment_status: "paid",
  net: 11_428,
  refund: "succeeded",
  events: ["charge.refunded", "checkout.session.completed"],
  forged_refused: true,
  declined: ["card_declined", "insufficient_funds", 402],
  unsupported: 501,
  customers: 3,
  found: ["c", "a"],
  setup: "succeeded",
  pending: 11_428,
};

/** Copies a folder with all that is in it. */
async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    if (entry.isDirectory) await copyFolder(join(from, entry.name), join(to, entry.name));
    else if (entry.isFile) await Deno.copyFile(join(from, entry.name), join(to, entry.name));
  }
}

/** The stand-in by its one command, in a folder that has nothing else of this repository. */
async function alone(): Promise<{ url: string } & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "stand-in-alone-" });
  await copyFolder(STAND_IN, folder);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "start", "--port", "0"],
    cwd: folder,
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  const output = lines.getReader();
  const { value = "" } = await output.read();
  const url = /^ready (http:\S+)$/.exec(value)?.[1];
  assert.ok(url !== undefined, `the stand-in said: ${value}`);
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await child.status;
      await output.cancel();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

interface Client {
  command: string;
  args: string[];
  cwd?: string;
  env?: Record<string, string>;
}

/** Runs what a client needs first; returns why it cannot be had, or null. */
async function missing(command: string, args: string[], cwd?: string): Promise<string | null> {
  const { success, stderr } = await runCommand(command, args, cwd === undefined ? {} : { cwd });
  return success ? null : stderr.trim().split("\n").at(-1) ?? "it failed";
}

/** Where Python's library is, and why it is not there; installed once, by a rename, so that two runs may start at once. */
async function pythonLibrary(): Promise<{ folder: string; reason: string | null }> {
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? join(Deno.env.get("HOME") ?? "/tmp", ".cache");
  const folder = join(cache, `python-${PYTHON_PACKAGE.replace("==", "-")}`);
  if (await Deno.stat(folder).then(() => true, () => false)) return { folder, reason: null };
  await Deno.mkdir(dirname(folder), { recursive: true });
  const fresh = await Deno.makeTempDir({ dir: dirname(folder), prefix: "python-" });
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", fresh];
  const reason = await missing("python3", [...pip, PYTHON_PACKAGE]);
  if (reason === null) await Deno.rename(fresh, folder).catch(() => Deno.remove(fresh, { recursive: true }));
  else await Deno.remove(fresh, { recursive: true });
  return { folder, reason };
}

async function sees(client: Client): Promise<void> {
  await using stand = await alone();
  const { success, stdout, stderr } = await runCommand(
    client.command,
    [...client.args, stand.url, TEST_KEY],
    {
      ...(client.cwd === undefined ? {} : { cwd: client.cwd }),
      ...(client.env === undefined ? {} : { env: client.env }),
    },
  );
  assert.ok(success, stderr);
  assert.deepEqual(JSON.parse(stdout), SEEN);
}

const noNode = await missing("node", ["--version"]);
test({
  name: "alone, by one command, the stand-in serves stripe-node in Node",
  ignore: skipWithout("Node", noNode),
}, () => sees({ command: "node", args: [`${CLIENTS}client.mjs`] }));

const python = await pythonLibrary();
test({
  name: "alone, by one command, the stand-in serves stripe-python",
  ignore: skipWithout("Python with stripe", python.reason),
}, () => sees({ command: "python3", args: [`${CLIENTS}client.py`], env: { PYTHONPATH: python.folder } }));

const noGo = await missing("go", ["build", "-o", "/dev/null", "."], `${CLIENTS}go`);
test({
  name: "alone, by one command, the stand-in serves stripe-go",
  ignore: skipWithout("Go with stripe-go", noGo),
}, () => sees({ command: "go", args: ["run", "."], cwd: `${CLIENTS}go` }));
