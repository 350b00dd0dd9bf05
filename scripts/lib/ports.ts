import { StackError } from "./errors.ts";

/** The ports of the offline stack: every part binds to this address and to no other. */
export const LOCAL_HOST = "127.0.0.1";

/** Returns a port that nobody listens on at this moment. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: LOCAL_HOST, port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** More than enough: each attempt takes other ports. */
const ATTEMPTS = 5;

/**
 * Runs `start` again when it throws a {@linkcode PortTakenError}: somebody else may take a free port between its
 * choice and its use. Not for the ports in `given`, which `start` cannot choose anew.
 */
export async function despitePortRaces<T>(given: number[], start: () => Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof PortTakenError) || given.includes(error.port) || attempt === ATTEMPTS) {
        throw error;
      }
    }
  }
}

/** Throws a {@linkcode PortTakenError} when `port` is taken; `variable` is the environment variable that moves it. */
export function requireFreePort(port: number, part: string, variable: string): void {
  try {
    Deno.listen({ hostname: LOCAL_HOST, port }).close();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AddrInUse)) throw cause;
    throw new PortTakenError(port, part, variable, { cause });
  }
}

/** Somebody else listens on a port; `variable` is the environment variable that moves it. */
export class PortTakenError extends StackError {
  constructor(readonly port: number, part: string, variable: string, options?: ErrorOptions) {
    super(
      `Port ${port} for ${part} is in use: stop what listens there, or choose another with ${variable}=<port>`,
      options,
    );
  }
}
