import assert from "node:assert/strict";

const MAIN = new URL("../../../scripts/local/web/main.ts", import.meta.url).pathname;

function start(env: Record<string, string>): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN],
    env: { LOCAL_WEB_PORT: "0", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

function fullEnv(dir: string): Record<string, string> {
  return {
    LOCAL_DIR: dir,
    API_URL: "http://127.0.0.1:1",
    STRIPE_URL: "http://127.0.0.1:2",
    DB_URL: "postgresql://127.0.0.1:1/postgres",
    PUBLISHABLE_KEY: "sb_publishable_local",
    SECRET_KEY: "sb_secret_local",
  };
}

async function firstLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream()).values({ preventCancel: true })) {
    text += chunk;
    if (text.includes("\n")) break;
  }
  return text.split("\n")[0] ?? "";
}

Deno.test("web process says where it is and ends when its standard input closes", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kct-web-" });
  const child = start(fullEnv(dir));
  const url = /^ready (http:\/\/127\.0\.0\.1:\d+)$/.exec(await firstLine(child.stdout))?.[1];
  assert.ok(url);
  const page = await fetch(`${url}/store`);
  await page.body?.cancel();
  assert.equal(page.status, 200);
  await child.stdin.close();
  assert.equal((await child.status).code, 0);
  await child.stderr.cancel();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("web process names a variable that is missing", async () => {
  const child = start({ ...fullEnv("."), API_URL: "" });
  await child.stdin.close();
  const { code, stderr } = await child.output();
  assert.equal(code, 1);
  assert.match(new TextDecoder().decode(stderr), /API_URL is not set/);
});
