/** How the SQL of `supabase/schemas` is laid out: lines that fit a screen, functions that fit one. */
import { join } from "node:path";
import { schemaPaths } from "../../lib/schemas.ts";
import { judged, type Step } from "./step.ts";

const LINE_WIDTH = 110;
const FUNCTION_LINES = 70;

/** Checks width of lines and length of functions. */
export const sqlLayout: Step = {
  name: "sql layout",
  async run({ root }) {
    const dir = join(root, "supabase");
    const problems = (await schemaPaths(dir)).map(async (path) =>
      layoutProblems(`supabase/${path}`, await Deno.readTextFile(join(dir, path)))
    );
    return judged((await Promise.all(problems)).flat());
  },
};

/** Lines of an SQL file that are too wide, and functions that are too long, from `create` to the closing `$$`. */
export function layoutProblems(path: string, text: string): string[] {
  const lines = text.split("\n");
  const wide = lines.flatMap((line, at) => {
    const width = [...line].length;
    return width > LINE_WIDTH ? [`${path}:${at + 1} has ${width} columns; ${LINE_WIDTH} fit`] : [];
  });
  const functions =
    /^create (?:or replace )?(?:function|procedure) ([\w.]+)[\s\S]*?\bas (\$\w*\$)[\s\S]*?\2/gm;
  const long = [...text.matchAll(functions)].flatMap(({ 0: source, 1: name, index }) => {
    const length = source.split("\n").length;
    const line = text.slice(0, index).split("\n").length;
    return length > FUNCTION_LINES
      ? [`${path}:${line} ${name}() has ${length} lines; ${FUNCTION_LINES} fit`]
      : [];
  });
  return [...wide, ...long];
}
