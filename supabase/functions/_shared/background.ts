/** Lets work go on after the answer; Supabase keeps the worker alive for what it is told to wait for. */
export function inBackground(work: Promise<void>): void {
  const runtime = (globalThis as { EdgeRuntime?: { waitUntil(promise: Promise<void>): void } }).EdgeRuntime;
  runtime?.waitUntil(work);
}
