import { dirname, join } from "node:path";
import { bundleFunctions, deploymentFiles } from "./bundle.ts";
import type { SetupStep } from "./step.ts";
import { projectTarget } from "./supabase.ts";

/** Deploys every function as one file. The CLI leaves alone what has not changed. */
export const functions: SetupStep = {
  name: "functions",
  async plan({ project, supabase }) {
    const target = projectTarget(project);
    // Now, since a lock file that does not fit should stop setup before it has changed anything.
    const bundles = await bundleFunctions();
    return {
      changes: [...bundles.keys()].map((name) =>
        `deploy ${name} (skipped by Supabase when it has not changed)`
      ),
      apply: async () => {
        const folder = await Deno.makeTempDir({ prefix: "kct-deploy-" });
        try {
          for (const [path, text] of await deploymentFiles(bundles)) {
            await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
            await Deno.writeTextFile(join(folder, path), text);
          }
          await supabase(["functions", "deploy", "--yes", "--use-api", "--workdir", folder, target]);
        } finally {
          await Deno.remove(folder, { recursive: true });
        }
      },
    };
  },
};
