import { join } from "node:path";
import type { SetupStep } from "./step.ts";
import { projectTarget } from "./supabase.ts";
import { SUPABASE_DIR } from "../../lib/paths.ts";

/** Deploys every function. The CLI leaves alone what has not changed. */
export const functions: SetupStep = {
  name: "functions",
  async plan({ project, supabase }) {
    const target = projectTarget(project);
    return {
      changes: (await functionNames()).map((name) =>
        `deploy ${name} (skipped by Supabase when it has not changed)`
      ),
      apply: async () => {
        await supabase(["functions", "deploy", "--yes", "--use-api", target]);
      },
    };
  },
};

/** The folders with an entry point. */
export async function functionNames(): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(join(SUPABASE_DIR, "functions"))) {
    if (entry.isDirectory && !/^[_.]|^node_modules$/.test(entry.name)) names.push(entry.name);
  }
  return names.sort();
}
