/** The functions' environment as Supabase keeps it: secrets, of which it shows a digest only. */
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";
import { environmentVariables } from "../../../supabase/functions/_shared/env.ts";
import { envLine, withPrivateFile } from "./env_file.ts";
import type { Project } from "./project.ts";
import type { SetupStep } from "./step.ts";
import { projectTarget, type SupabaseCli } from "./supabase.ts";

/** Sets what is new or different, and unsets what the env file empties. What it does not mention is left alone. */
export const secrets: SetupStep = {
  name: "secrets",
  async plan({ project, supabase }) {
    const deployed = await readDeployedSecrets(project, supabase);
    return {
      changes: (await differingSecrets(project.values, deployed)).map((name) =>
        `${deployed.has(name) ? "change" : "set"} ${name}`
      ).concat(emptiedSecrets(project.values, deployed).map((name) => `unset ${name}`)),
      apply: async () => {
        const emptied = emptiedSecrets(project.values, deployed);
        if (emptied.length > 0) {
          await supabase(["secrets", "unset", ...emptied, "--yes", projectTarget(project)]);
        }
        // Asked again: new endpoints have brought their signing secrets meanwhile.
        const names = await differingSecrets(project.values, deployed);
        if (names.length > 0) await setSecrets(project, supabase, names);
      },
    };
  },
};

/** Gives the functions these variables as the env file has them. They need no deployment to get them. */
export async function setSecrets(
  project: Pick<Project, "ref" | "values">,
  supabase: SupabaseCli,
  names: string[],
): Promise<void> {
  const text = names.map((name) => envLine(name, project.values[name]?.trim() ?? "")).join("\n") + "\n";
  await withPrivateFile(
    text,
    ".env",
    (path) => supabase(["secrets", "set", "--yes", "--env-file", path, projectTarget(project)]),
  );
}

/** Name → SHA-256 of the value, in hexadecimal. */
export async function readDeployedSecrets(
  project: Pick<Project, "ref">,
  supabase: SupabaseCli,
): Promise<Map<string, string>> {
  return new Map((await listSecrets(project, supabase)).map(({ name, value }) => [name, value]));
}

/** Name → when the value was last set (ISO 8601), for those of which Supabase says so. */
export async function readSecretDates(
  project: Pick<Project, "ref">,
  supabase: SupabaseCli,
): Promise<Map<string, string>> {
  const dated = (await listSecrets(project, supabase)).flatMap(({ name, updated_at }) =>
    updated_at === undefined ? [] : [[name, updated_at] as const]
  );
  return new Map(dated);
}

interface ListedSecret {
  name: string;
  value: string;
  updated_at?: string;
}

async function listSecrets(project: Pick<Project, "ref">, supabase: SupabaseCli): Promise<ListedSecret[]> {
  const { stdout } = await supabase(["secrets", "list", "--output", "json", projectTarget(project)]);
  return JSON.parse(stdout);
}

/** The variables that the project lacks or has with another value. */
export async function differingSecrets(
  values: Record<string, string>,
  deployed: Map<string, string>,
): Promise<string[]> {
  const differing: string[] = [];
  // Supabase sets its own, and refuses names that begin like them.
  for (const name of environmentVariables.filter((name) => !name.startsWith("SUPABASE_"))) {
    const value = values[name]?.trim() ?? "";
    if (value !== "" && deployed.get(name) !== await sha256(value)) differing.push(name);
  }
  return differing;
}

/** The variables that the env file empties and the project has. */
export function emptiedSecrets(values: Record<string, string>, deployed: Map<string, string>): string[] {
  return environmentVariables.filter((name) => values[name]?.trim() === "" && deployed.has(name));
}

/** The variables that the project has and the env file says nothing of. */
export function unnamedSecrets(values: Record<string, string>, deployed: Map<string, string>): string[] {
  return environmentVariables.filter((name) => values[name] === undefined && deployed.has(name));
}
