/** `deno task simulate` that is told to end: quietly, and with nothing left behind. */
import assert from "node:assert/strict";
import { TextLineStream } from "../../scripts/lib/lines.ts";
import { nonEmpty } from "../support/non_empty.ts";

Deno.test("simulate that is interrupted ends quietly, with the signal's exit code", async () => {
  await Promise.all(([["SIGTERM", 143], ["SIGINT", 130]] as const).map(async ([signal, code]) => {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", "--no-check", "scripts/quality/simulate.ts"],
        ...["--days", "100", "--orders", "1", "--hours", "0.01", "--threads", "1"],
      ],
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const told = new Response(child.stderr).text();
    const lines: string[] = [];
    // The next day has begun when one is told of.
    for await (
      const line of child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
    ) {
      if (lines.push(line) === 1) child.kill(signal);
    }
    assert.equal((await child.status).code, code);
    assert.equal(await told, "");
    assert.ok(nonEmpty(lines).every((line) => /^seed \d+ {2}ok/.test(line)), lines.join("\n"));
  }));
});
