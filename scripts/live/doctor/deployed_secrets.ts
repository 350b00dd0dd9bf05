import { differingSecrets, emptiedSecrets, readDeployedSecrets, unnamedSecrets } from "../setup/secrets.ts";
import { supabaseCli } from "../setup/supabase.ts";
import { error, type Finding, ok, unseen, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

/** Compares the project's secrets with the env file, by digest. Needs an access token, and says nothing without one. */
export async function checkDeployedSecrets(
  subject: Subject,
  supabase = supabaseCli(subject),
): Promise<Finding[]> {
  const { kind, values, ref } = subject;
  if (kind === "local" || ref === null || values["SUPABASE_ACCESS_TOKEN"] === undefined) return [];
  let deployed: Map<string, string>;
  try {
    deployed = await readDeployedSecrets(subject, supabase);
  } catch (failure) {
    return [
      unseen("the project's secrets could not be read", failure instanceof Error ? failure.message : ""),
    ];
  }
  const findings = [
    ...(await differingSecrets(values, deployed)).map((name) =>
      deployed.has(name)
        ? warning(
          "secret_differs",
          `${name} has another value in the project than here`,
          "run 'deno task setup', or correct it here",
        )
        : error("secret_missing", `${name} is not set in the project`, "run 'deno task setup'")
    ),
    ...emptiedSecrets(values, deployed).map((name) =>
      warning(
        "secret_surplus",
        `${name} is empty here and set in the project`,
        "run 'deno task setup', which unsets it",
      )
    ),
    ...unnamedSecrets(values, deployed).filter((name) => !name.startsWith("SUPABASE_")).map((name) =>
      warning(
        "secret_unnamed",
        `${name} is set in the project and not named here`,
        "write it here, or empty it here to unset it",
      )
    ),
  ];
  return findings.length === 0 ? [ok("the project's secrets are those of the env file")] : findings;
}
