/** Card numbers in the logs. */
import { createHash } from "node:crypto";
import { join, relative } from "node:path";
import { TextLineStream } from "../../lib/lines.ts";
import { type Check, emptyResult, notExamined } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";
import { cardNumbersIn } from "./card_finder.ts";

/** Reads every file below the folder of logs, line by line. */
export const cardNumbersInLogs: Check = async ({ logs }) => {
  if (logs === null) {
    return notExamined("logs: export them from the dashboard (Logs) and name the folder with --logs");
  }
  const result = emptyResult();
  const files = (await filesBelow(logs)).sort();
  const marks: string[] = [];
  let lines = 0;
  for (const path of files) {
    const shown = relative(logs, path);
    if (/\.(gz|zip|zst|bz2)$/.test(path)) {
      result.notExamined.push(`${shown}: unpack it first`);
      continue;
    }
    let line = 0;
    const mark = createHash("sha256");
    using file = await Deno.open(path);
    for await (
      const text of file.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
    ) {
      line++;
      mark.update(`${text}\n`);
      for (const card of cardNumbersIn(text)) {
        result.findings.push({ where: `${shown}:${line}`, what: `a card number: ${card}` });
      }
    }
    lines += line;
    marks.push(`${shown} ${line} ${mark.digest("hex")}`);
  }
  if (files.length === 0) result.notExamined.push("logs: the folder is empty");
  result.examined.push({
    what: `lines of ${marks.length} log files`,
    items: lines,
    sha256: await sha256(marks.join("\n")),
    moves: true,
  });
  return result;
};

async function filesBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) found.push(...await filesBelow(path));
    else if (entry.isFile) found.push(path);
  }
  return found;
}
