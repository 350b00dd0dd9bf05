/** The packages of deno.lock: versions, hashes, who needs whom, and what each says of its licence. */
import { join } from "node:path";
import { z } from "zod";

const lockSchema = z.object({
  version: z.literal("5"),
  specifiers: z.record(z.string(), z.string()),
  npm: z.record(
    z.string(),
    z.object({
      integrity: z.string().optional(),
      dependencies: z.array(z.string()).default([]),
      optionalDependencies: z.array(z.string()).default([]),
      os: z.array(z.string()).optional(),
      cpu: z.array(z.string()).optional(),
    }),
  ),
  workspace: z.object({
    dependencies: z.array(z.string()).default([]),
    members: z.record(z.string(), z.object({ dependencies: z.array(z.string()).default([]) })).default({}),
  }),
});

/** The workspace member that is deployed; everything else is a tool. */
const deployedMember = "supabase/functions";

/** One package as the lock file fixes it. */
export interface LockedPackage {
  /** Its key in the lock file, unique. */
  key: string;
  name: string;
  version: string;
  /** `sha512-…`, base64; null where the lock file has none. */
  integrity: string | null;
  /** Keys of what it needs. */
  needs: string[];
  /** Our own code names it. */
  direct: boolean;
  /** It is part of a function, and not only of a tool. */
  deployed: boolean;
  /** It is for some platforms alone, so this machine may not have it. */
  ofOnePlatform: boolean;
}

/**
 * Reads the lock file, sorted by key.
 * @throws z.ZodError when it is of another version.
 */
export async function readLockFile(root: string): Promise<LockedPackage[]> {
  const lock = lockSchema.parse(JSON.parse(await Deno.readTextFile(join(root, "deno.lock"))));
  const keys = Object.keys(lock.npm);
  // A package that is there once is named without its version, and never with those it was resolved with.
  const keyOf = (wanted: string): string => {
    const found = keys.find((key) => key === wanted) ??
      keys.find((key) => key.startsWith(`${wanted}_`) || key.startsWith(`${wanted}@`));
    if (found === undefined) throw new Error(`deno.lock names ${wanted} and does not have it`);
    return found;
  };
  const needs = new Map(
    Object.entries(lock.npm).map(([key, { dependencies, optionalDependencies }]) =>
      [key, [...dependencies, ...optionalDependencies].map(keyOf)] as const
    ),
  );
  const deployed = new Set<string>();
  const add = (key: string): void => {
    if (deployed.has(key)) return;
    deployed.add(key);
    needs.get(key)?.forEach(add);
  };
  const ofSpecifier = (specifier: string) => {
    const name = specifier.replace(/^npm:/, "").replace(/(?<=.)@[^@/]*$/, "");
    return keyOf(`${name}@${lock.specifiers[specifier]}`);
  };
  const { dependencies, members } = lock.workspace;
  const named = Object.values(members).flatMap((member) => member.dependencies).concat(dependencies);
  const direct = new Set(named.map(ofSpecifier));
  for (const specifier of members[deployedMember]?.dependencies ?? []) add(ofSpecifier(specifier));
  return Object.entries(lock.npm).map(([key, { integrity, os, cpu }]) => {
    const [, name = "", version = ""] = /^(@?[^@]+)@([^_]+)/.exec(key) ?? [];
    return {
      key,
      name,
      version,
      integrity: integrity ?? null,
      needs: needs.get(key) ?? [],
      direct: direct.has(key),
      deployed: deployed.has(key),
      ofOnePlatform: os !== undefined || cpu !== undefined,
    };
  }).sort((a, b) => a.key < b.key ? -1 : 1);
}

/** What a package's own package.json says of its licence; null when it is not installed or says nothing. */
export async function readLicence(root: string, { name, version }: LockedPackage): Promise<string | null> {
  const folder = `${name.replace("/", "+")}@${version}`;
  const path = join(root, "node_modules", ".deno", folder, "node_modules", name, "package.json");
  const text = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  });
  if (text === null) return null;
  const { license }: { license?: string | { type?: string } } = JSON.parse(text);
  const said = typeof license === "object" ? license.type : license;
  // One of them adds an address in brackets.
  return said?.replace(/ \(https?:[^)]*\)$/, "") ?? null;
}
