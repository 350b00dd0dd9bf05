/** What a program knows of time and chance by itself, replaced by what a world says. */
import { format } from "node:util";

export interface Substitutes {
  /** Milliseconds since 1970. */
  now: () => number;
  /** In [0, 1). */
  random: () => number;
  fill: (bytes: Uint8Array) => void;
  after: (ms: number, run: () => void) => number;
  cancel: (id: number) => void;
  /** Runs what needs real time, with nothing else beside it. */
  real: <T>(work: () => Promise<T>) => Promise<T>;
  fetch: typeof fetch;
  console: (level: string, text: string) => void;
}

/** The operations of Web Crypto: they run in threads of their own. */
const ofCrypto = ["decrypt", "deriveBits", "deriveKey", "digest", "encrypt", "exportKey", "generateKey"]
  .concat(["importKey", "sign", "unwrapKey", "verify", "wrapKey"]);

type Callback = (...args: unknown[]) => void;

/** Replaces clocks, timers, random numbers, `fetch` and the console of this process; returns the way back. */
export function installGlobals(to: Substitutes): () => void {
  const undo: (() => void)[] = [];
  const replace = (holder: object, name: string, value: unknown) => {
    const own = Object.getOwnPropertyDescriptor(holder, name);
    Object.defineProperty(holder, name, { value, writable: true, configurable: true });
    undo.push(() => {
      if (own === undefined) Reflect.deleteProperty(holder, name);
      else Object.defineProperty(holder, name, own);
    });
  };
  replaceClocks(to, replace);
  replaceTimers(to, replace);
  replaceChance(to, replace);
  const subtle = Object.getPrototypeOf(crypto.subtle);
  for (const name of ofCrypto) {
    const real = subtle[name] as (...args: unknown[]) => Promise<unknown>;
    replace(subtle, name, function (this: unknown, ...args: unknown[]) {
      return to.real(() => real.apply(this, args));
    });
  }
  replace(globalThis, "fetch", to.fetch);
  replace(globalThis, "EdgeRuntime", { waitUntil: () => {} });
  for (const level of ["debug", "error", "info", "log", "warn"]) {
    replace(console, level, (...args: unknown[]) => to.console(level, format(...args)));
  }
  return () => undo.toReversed().forEach((step) => step());
}

type Replace = (holder: object, name: string, value: unknown) => void;

function replaceClocks({ now }: Substitutes, replace: Replace): void {
  const began = now();
  const RealDate = Date;
  replace(
    globalThis,
    "Date",
    new Proxy(RealDate, {
      construct: (target, args, newTarget) =>
        Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
      apply: () => new RealDate(now()).toString(),
      get: (target, name, receiver) => name === "now" ? now : Reflect.get(target, name, receiver),
    }),
  );
  replace(performance, "now", () => now() - began);
}

function replaceTimers({ after, cancel }: Substitutes, replace: Replace): void {
  replace(
    globalThis,
    "setTimeout",
    (run: Callback, ms = 0, ...args: unknown[]) => after(ms, () => run(...args)),
  );
  const rounds = new Map<number, number>();
  replace(globalThis, "setInterval", (run: Callback, ms = 0, ...args: unknown[]) => {
    const again = () => {
      rounds.set(first, after(Math.max(1, ms), again));
      run(...args);
    };
    const first = after(Math.max(1, ms), again);
    rounds.set(first, first);
    return first;
  });
  const stop = (id: unknown) => {
    if (typeof id !== "number") return;
    cancel(rounds.get(id) ?? id);
    rounds.delete(id);
  };
  replace(globalThis, "clearTimeout", stop);
  replace(globalThis, "clearInterval", stop);
  replace(Deno, "unrefTimer", () => {});
  replace(Deno, "refTimer", () => {});
  replace(AbortSignal, "timeout", (ms: number) => {
    const aborter = new AbortController();
    after(ms, () => aborter.abort(new DOMException("Signal timed out.", "TimeoutError")));
    return aborter.signal;
  });
}

function replaceChance({ random, fill }: Substitutes, replace: Replace): void {
  replace(Math, "random", random);
  const ofChance = Object.getPrototypeOf(crypto);
  replace(ofChance, "getRandomValues", (view: ArrayBufferView) => {
    fill(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
    return view;
  });
  replace(ofChance, "randomUUID", () => {
    const bytes = new Uint8Array(16);
    fill(bytes);
    bytes[6] = (bytes[6] ?? 0) & 0x0f | 0x40;
    bytes[8] = (bytes[8] ?? 0) & 0x3f | 0x80;
    return bytes.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  });
}
