/** The ports of the offline stack: every part binds to this address and to no other. */
export const LOCAL_HOST = "127.0.0.1";

/** Returns a port that nobody listens on at this moment. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: LOCAL_HOST, port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** Throws a message that names the mend when `port` is taken; `variable` is the environment variable that moves it. */
export function requireFreePort(port: number, part: string, variable: string): void {
  try {
    Deno.listen({ hostname: LOCAL_HOST, port }).close();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AddrInUse)) throw cause;
    throw new StackError(
      `Port ${port} for ${part} is in use: stop what listens there, or choose another with ${variable}=<port>`,
      { cause },
    );
  }
}

/** A failure of the offline stack whose message tells the developer what to do; printed without a stack trace. */
export class StackError extends Error {
  override name = "StackError";
}
