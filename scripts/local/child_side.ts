import { join } from "node:path";

/** File in `LOCAL_DIR` that every part of a stack holds a shared lock on: whoever gets it alone knows that all are gone. */
export const PARTS_LOCK = "parts.lock";

/**
 * For processes of the offline stack: ends this one when stdin closes, which happens however the parent dies, and at
 * SIGTERM or SIGINT.
 */
export function exitWithParent(stop: () => Promise<void>): void {
  holdFolder();
  let stopping = false;
  const end = async () => {
    if (stopping) return;
    stopping = true;
    const late = setTimeout(() => Deno.exit(1), 5000);
    await stop().catch((error) => console.error(`stopping: ${error}`));
    clearTimeout(late);
    Deno.exit(0);
  };
  Deno.addSignalListener("SIGTERM", end);
  Deno.addSignalListener("SIGINT", end);
  Deno.stdin.readable.pipeTo(new WritableStream()).then(end, end);
}

/** Until this process is gone, however it ends. */
function holdFolder(): void {
  const dir = Deno.env.get("LOCAL_DIR") ?? ".local";
  Deno.mkdirSync(dir, { recursive: true });
  Deno.openSync(join(dir, PARTS_LOCK), { create: true, write: true }).lockSync(false);
}
