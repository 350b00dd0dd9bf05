/** `.env.example` names what `env.ts` reads: each variable once, in its order, behind one comment. */
import { environmentVariables } from "../../../supabase/functions/_shared/env.ts";
import { judged, type Step } from "./step.ts";

/** Compares names and order. */
export const envExample: Step = {
  name: "env example",
  async run({ root }) {
    const text = await Deno.readTextFile(`${root}/.env.example`).catch(() => null);
    if (text === null) return { kind: "failed", problems: [".env.example is missing"] };
    return judged(envExampleProblems(text, environmentVariables), `${environmentVariables.length} variables`);
  },
};

/** Returns what is wrong with the text of `.env.example`. */
export function envExampleProblems(text: string, expected: readonly string[]): string[] {
  const lines = text.split("\n");
  const entries = lines.flatMap((line, at) => {
    const name = /^#?\s?([A-Z][A-Z0-9_]*)=/.exec(line)?.[1];
    return name === undefined ? [] : [{ name, at }];
  });
  const names = entries.map((entry) => entry.name);
  const problems = [
    ...expected.filter((name) => !names.includes(name)).map((name) =>
      `.env.example lacks ${name}, which env.ts reads`
    ),
    ...entries.filter((entry) => !expected.includes(entry.name))
      .map((entry) => `.env.example:${entry.at + 1} names ${entry.name}, which env.ts does not read`),
    ...entries.filter((entry) =>
      !/^# \S/.test(lines[entry.at - 1] ?? "") || isEntry(lines[entry.at - 1] ?? "")
    )
      .map((entry) => `.env.example:${entry.at + 1} ${entry.name} has no comment above it`),
  ];
  if (problems.length > 0) return problems;
  const wrong = expected.findIndex((name, at) => names[at] !== name);
  return wrong === -1 && names.length === expected.length
    ? []
    : [`.env.example has ${names[wrong]} where env.ts has ${expected[wrong]}: keep the order of env.ts`];
}

function isEntry(line: string): boolean {
  return /^#?\s?[A-Z][A-Z0-9_]*=/.test(line);
}
