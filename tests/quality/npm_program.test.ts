import assert from "node:assert/strict";

const MODULE = new URL("../../scripts/lib/npm_program.ts", import.meta.url).href;

/** As npm before version 11: two at once spoil each other's installation. */
const FRAGILE_NPX = `#!/bin/sh
mkdir "$(dirname "$0")/installing" || exit 217
sleep 0.3
rmdir "$(dirname "$0")/installing"
echo "/the/program"
`;

Deno.test({
  name: "npmProgram() has one npx at work at a time, however many processes ask",
  ignore: Deno.build.os === "windows",
  async fn() {
    const dir = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${dir}/npx`, FRAGILE_NPX, { mode: 0o755 });
      const code = `import { npmProgram } from "${MODULE}"; console.log(await npmProgram("a@1", "a"));`;
      const outputs = await Promise.all([1, 2, 3].map(() =>
        new Deno.Command(Deno.execPath(), {
          args: ["eval", "--quiet", "--no-check", code],
          env: { PATH: `${dir}:${Deno.env.get("PATH")}` },
        }).output()
      ));
      const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      for (const { stdout, stderr } of outputs) {
        assert.equal(decode(stdout), "/the/program\n", decode(stderr));
      }
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

Deno.test({
  name: "npmBinary() finds the program behind a package's script, and takes the script where there is none",
  ignore: Deno.build.os === "windows",
  async fn() {
    const dir = await Deno.makeTempDir();
    try {
      const script = `${dir}/node_modules/.bin/tool`;
      const binary = `${dir}/node_modules/@tool/here/bin/tool`;
      await Deno.mkdir(`${dir}/node_modules/@tool/here/bin`, { recursive: true });
      await Deno.writeTextFile(binary, "");
      await Deno.writeTextFile(`${dir}/npx`, `#!/bin/sh\necho "${script}"\n`, { mode: 0o755 });
      const asked = async (binaries: Record<string, string>) => {
        const code = `import { npmBinary } from "${MODULE}";
          console.log(await npmBinary("tool@1", "tool", ${JSON.stringify(binaries)}));`;
        const { stdout } = await new Deno.Command(Deno.execPath(), {
          args: ["eval", "--quiet", "--no-check", code],
          env: { PATH: `${dir}:${Deno.env.get("PATH")}` },
        }).output();
        return new TextDecoder().decode(stdout).trim();
      };
      const platform = `${Deno.build.os}-${Deno.build.arch}`;
      assert.equal(await asked({ [platform]: "@tool/here/bin/tool" }), binary);
      assert.equal(await asked({ [platform]: "@tool/gone/bin/tool" }), script);
      assert.equal(await asked({}), script);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
