/** What a running offline stack says of itself in its folder. */
import { join } from "node:path";

/** `$LOCAL_DIR/stack.json`. */
export interface StackFile {
  api_url: string;
  functions_url: string;
  db_url: string;
  web_url: string;
  stripe_url: string;
  publishable_key: string;
  secret_key: string;
  stripe_secret_key: string;
  stripe_webhook_secret: string;
  pid: number;
}

/** Returns what the stack that runs in `dir` says; null when none does. */
export async function readStackFile(dir: string): Promise<StackFile | null> {
  return await readOwn(dir, "stack.json");
}

/** Returns the variables that the functions of the stack in `dir` run with; null when none runs. */
export async function readFunctionEnv(dir: string): Promise<Record<string, string> | null> {
  return await readOwn(dir, "functions.json");
}

async function readOwn<T>(dir: string, name: string): Promise<T | null> {
  try {
    return JSON.parse(await Deno.readTextFile(join(dir, name)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Writes both files, each beside and then renamed: whoever waits for one never reads half of it. */
export async function writeStackFiles(
  dir: string,
  file: StackFile,
  functionEnv: Record<string, string>,
): Promise<void> {
  await writeOwn(dir, "functions.json", functionEnv);
  await writeOwn(dir, "stack.json", file);
}

/** Removes both files, if they are there. */
export async function removeStackFiles(dir: string): Promise<void> {
  for (const name of ["stack.json", "functions.json"]) await Deno.remove(join(dir, name)).catch(() => {});
}

async function writeOwn(dir: string, name: string, content: unknown): Promise<void> {
  const partial = join(dir, `${name}.${Deno.pid}`);
  await Deno.writeTextFile(partial, JSON.stringify(content, null, 2) + "\n", { mode: 0o600 });
  await Deno.rename(partial, join(dir, name));
}
