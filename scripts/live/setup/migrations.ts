import type { SetupStep } from "./step.ts";
import { databaseTarget } from "./supabase.ts";

/** Pushes the migrations that the database has not seen. */
export const migrations: SetupStep = {
  name: "migrations",
  async plan({ project, supabase }) {
    const target = databaseTarget(project);
    const { stdout, stderr } = await supabase(["db", "push", "--dry-run", target]);
    const pending = pendingMigrations(stdout + stderr);
    return {
      changes: pending.map((file) => `push ${file}`),
      apply: async () => {
        await supabase(["db", "push", "--yes", target]);
      },
    };
  },
};

/** Names of the files that `db push --dry-run` would apply. */
function pendingMigrations(output: string): string[] {
  return [...new Set(output.match(/\b\d{14}_\w+\.sql\b/g) ?? [])].sort();
}
