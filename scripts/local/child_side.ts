/**
 * For processes of the offline stack: ends this one when stdin closes, which happens however the parent dies, and
 * at SIGTERM. SIGINT is left to the parent, which stops its children in order after Ctrl-C.
 */
export function exitWithParent(stop: () => Promise<void>): void {
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
  Deno.addSignalListener("SIGINT", () => {});
  Deno.stdin.readable.pipeTo(new WritableStream()).then(end, end);
}
