/** What setup writes into an env file, and what it leaves there. */
import assert from "node:assert/strict";
import { removeFromEnvFile, setInEnvFile } from "../../scripts/live/setup/env_file.ts";
import { masked, readEnvFile } from "../../scripts/live/setup/project.ts";

const folder = await Deno.makeTempDir({ prefix: "kct-env-file-" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));

Deno.test("envLine() and setInEnvFile() keep a value as it is, and the rest of the file", async () => {
  const path = `${folder}/lines.env`;
  await Deno.writeTextFile(path, "# first\nA=1\nB=2");
  const values = [
    "plain",
    "with space",
    `it's $HOME`,
    `"quoted" #not a comment`,
    `it's "both"`,
    "whsec_a,whsec_b",
  ];
  for (const value of values) {
    await setInEnvFile(path, "A", value);
    assert.equal((await readEnvFile(path))["A"], value);
  }
  await setInEnvFile(path, "C", "new");
  assert.equal(await Deno.readTextFile(path), "# first\nA=whsec_a,whsec_b\nB=2\nC=new");
});

Deno.test("setInEnvFile() leaves line ends, export, comments, longer values and links as they are", async () => {
  const path = `${folder}/styles.env`, link = `${folder}/link.env`;
  const written = async (text: string, name: string) => {
    await Deno.writeTextFile(path, text);
    await setInEnvFile(link, name, "new");
    assert.equal((await readEnvFile(path))[name], "new", text);
    return await Deno.readTextFile(path);
  };
  await Deno.writeTextFile(path, "");
  await Deno.symlink(path, link);
  assert.equal(await written("A=1\r\nB=2\r\n", "A"), "A=new\r\nB=2\r\n");
  assert.equal(await written("B=2\r\n", "A"), "B=2\r\nA=new\r\n");
  assert.equal(await written("export A=1\n  export B=2 # why\n", "B"), "export A=1\n  export B=new # why\n");
  assert.equal(await written("A='1' # why\nB= # none yet\n", "B"), "A='1' # why\nB=new # none yet\n");
  assert.equal(await written("# A=0\nA=1\nA=2\n", "A"), "# A=0\nA=1\nA=new\n");
  assert.equal(await written('A="1,\n2"\nB=3\n', "A"), "A=new\nB=3\n");
  assert.equal(await written('A=1\nB="x\nA=2\n"\n', "A"), 'A=new\nB="x\nA=2\n"\n');
  assert.ok((await Deno.lstat(link)).isSymlink);
});

Deno.test("removeFromEnvFile() takes each line of a variable, and nothing else", async () => {
  const path = `${folder}/removed.env`;
  const left = async (text: string) => {
    await Deno.writeTextFile(path, text);
    await removeFromEnvFile(path, "A");
    return await Deno.readTextFile(path);
  };
  assert.equal(await left("A=1\n# A=0\nAB=2\nA='x\ny'\nB=3\n"), "# A=0\nAB=2\nB=3\n");
  assert.equal(await left("B=1\r\nA=2\r\nC=3"), "B=1\r\nC=3");
  assert.equal(await left("B=1\n"), "B=1\n");
});

Deno.test("masked() hides what the collector's headers carry", () => {
  const values = { OTEL_EXPORTER_OTLP_HEADERS: "x-team=0123456789abcdef,x-one=short" };
  assert.equal(masked("told 0123456789abcdef, x-one", values), "told ***, x-one");
});

Deno.test("masked() hides whole secrets, items of lists and keys of dictionaries, and nothing else", () => {
  const key = `sb_secret_${crypto.randomUUID()}`;
  const values = { SUPABASE_SECRET_KEYS: JSON.stringify({ default: key }), APP_ENV: "development-like" };
  assert.equal(masked(`key ${key}, APP_ENV development-like`, values), "key ***, APP_ENV development-like");
});
