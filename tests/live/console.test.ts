/** `deno task console`: what it hands to the browser, and that it serves the site. */
import assert from "node:assert/strict";
import { get } from "node:http";
import { TextLineStream } from "../../scripts/lib/lines.ts";
import { publicSettings } from "../../scripts/live/console.ts";

const url = "https://abcdefghijklmnopqrst.supabase.co";
const of = (values: Record<string, string>) => publicSettings({ name: ".env", values });

/** How a request under this name is answered: `fetch()` lets nobody choose it. */
const statusAs = (host: string, address: string) =>
  new Promise((resolve, reject) => {
    get(address, { headers: { host }, agent: false }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode));
    }).on("error", reject);
  });

Deno.test("publicSettings() takes a publishable key, and never one that lets anybody in", () => {
  const keys = (...all: string[]) =>
    JSON.stringify(Object.fromEntries(all.map((key, at) => [`key${at}`, key])));
  const publishable = `sb_publishable_${"a".repeat(20)}`, secret = `sb_secret_${"0".repeat(20)}`;
  assert.deepEqual(of({ SUPABASE_URL: `${url}/`, SUPABASE_PUBLISHABLE_KEYS: keys(secret, publishable) }), {
    apiUrl: url,
    publishableKey: publishable,
  });
  for (const text of [keys(secret), keys(), publishable, "[1]", ""]) {
    assert.throws(
      () => of({ SUPABASE_URL: url, SUPABASE_PUBLISHABLE_KEYS: text, SUPABASE_SECRET_KEYS: keys(secret) }),
      ({ message }: Error) =>
        /^\.env has no SUPABASE_PUBLISHABLE_KEYS/.test(message) && !message.includes(secret),
    );
  }
  assert.throws(() => of({ SUPABASE_PUBLISHABLE_KEYS: keys(publishable) }), /has no SUPABASE_URL/);
});

Deno.test("deno task console serves the page on this machine until it is told to stop", async () => {
  const file = await Deno.makeTempFile({ suffix: ".env" });
  await Deno.writeTextFile(
    file,
    `SUPABASE_URL=${url}\nSUPABASE_PUBLISHABLE_KEYS={"default":"sb_publishable_${"a".repeat(20)}"}\n`,
  );
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "scripts/live/console.ts", "--env", file, "--port", "0"],
    cwd: new URL("../../", import.meta.url),
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
    .getReader();
  try {
    const { value = "" } = await lines.read();
    const address = /http:\/\/127\.0\.0\.1:\d+/.exec(value)?.[0];
    assert.ok(address, value);
    const page = await fetch(`${address}/`);
    assert.match(await page.text(), /<title>Console</);
    assert.match(page.headers.get("content-security-policy") ?? "", new RegExp(`connect-src 'self' ${url};`));
    const told = await (await fetch(`${address}/console/settings.json`)).json();
    assert.deepEqual([told.api_url, told.demo], [url, null], "nobody comes in without an account");
    const other = await fetch(`${address}/consoles`);
    await other.body?.cancel();
    assert.equal(other.status, 404);
    assert.equal(await statusAs("evil.example", `${address}/console`), 403, "a name that was pointed here");
    assert.equal(await statusAs("localhost", `${address}/console`), 200);
  } finally {
    child.kill("SIGTERM");
    assert.equal((await child.status).code, 0);
    await lines.cancel();
    await Deno.remove(file);
  }
});
