/** Work that goes on after the answer. Supabase keeps a worker alive for what it is told to wait for. */

/** Lets work go on that has begun; it handles its failures itself. */
export function inBackground(work: Promise<void>): void {
  runtime()?.waitUntil(work);
}

/** Begins work some time after now. Where nobody waits for it, it does not hold the process open either. */
export function runLater(work: () => Promise<void>, ms: number): void {
  const wait = Promise.withResolvers<void>();
  const timer = setTimeout(wait.resolve, ms);
  const done = wait.promise.then(work);
  if (runtime() === undefined) Deno.unrefTimer(timer);
  else inBackground(done);
}

function runtime(): { waitUntil(promise: Promise<void>): void } | undefined {
  return (globalThis as { EdgeRuntime?: { waitUntil(promise: Promise<void>): void } }).EdgeRuntime;
}
