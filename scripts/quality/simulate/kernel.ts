/**
 * Virtual time in one process: timers, clocks, random numbers and keys of everything that runs here follow a seed.
 * One event happens at a time; between two of them everything real that it began (a query, a signature) is waited
 * for, so that nothing depends on how fast this machine is.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { createHash, type Hash } from "node:crypto";
import { setImmediate as afterThisTurn } from "node:timers";
import { Random } from "../chaos/random.ts";
import { installGlobals } from "./globals.ts";

/** What the code that runs now was begun by: who it is in the trace, and where its chances come from. */
export interface Cause {
  readonly name: string;
  readonly random: Random;
  /** What dies as one; nobody outside of the shop's functions dies. */
  readonly life: Life | null;
  children: number;
}

/** Something that can be killed: what it has begun never goes on. */
export interface Life {
  dead: boolean;
}

interface Event {
  at: number;
  number: number;
  cause: Cause;
  run: () => void;
  cancelled: boolean;
}

/** The moment at which each world begins, in milliseconds; a Monday morning in UTC. */
export const beginning = Date.UTC(2026, 2, 2, 6, 0, 0);

/** Turns of the event loop in which nothing may happen any more before the next event is taken. */
const quietTurns = 2;

export interface KernelOptions {
  seed: number;
  /** Is told each line of the trace. */
  onLine?: (line: string) => void;
  turns?: number;
}

export class Kernel {
  now = beginning;
  /** Events so far, and those within this millisecond: what happens later is later in the database as well. */
  events = 0;
  #sameMs = 0;
  readonly #heap: Event[] = [];
  #numbers = 0;
  readonly #timers = new Map<number, Event>();
  #underWay = 0;
  #idle: (() => void) | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  readonly #storage = new AsyncLocalStorage<Cause>();
  readonly #hash: Hash = createHash("sha256");
  readonly #seed: number;
  readonly #root: Cause;
  readonly #bytes: () => number;
  readonly #onLine: ((line: string) => void) | undefined;
  readonly #turns: number;
  /** What somebody wrote to the console. */
  onConsole: (level: string, text: string, cause: string) => void = () => {};

  constructor({ seed, onLine, turns = quietTurns }: KernelOptions) {
    this.#seed = seed;
    this.#onLine = onLine;
    this.#turns = turns;
    this.#root = this.cause("world");
    this.#bytes = manyBytes(seed);
  }

  /** Replaces what tells time and chance in this process; returns the way back. */
  install(fetcher: typeof fetch): () => void {
    return installGlobals({
      now: () => this.now,
      random: () => this.current().random.next(),
      fill: (bytes) => {
        for (let at = 0; at < bytes.length; at++) bytes[at] = this.#bytes();
      },
      after: (ms, run) => this.#startTimer(ms, run),
      cancel: (id) => this.#stopTimer(id),
      real: (work) => this.real(work),
      fetch: fetcher,
      console: (level, text) => this.onConsole(level, text, this.current().name),
    });
  }

  /** Time as the database tells it: to the microsecond, later with each event. */
  get timestamp(): string {
    const micros = String(Math.min(this.#sameMs, 999)).padStart(3, "0");
    return new Date(this.now).toISOString().replace("Z", `${micros}Z`);
  }

  current(): Cause {
    return this.#storage.getStore() ?? this.#root;
  }

  cause(name: string, life: Life | null = null): Cause {
    return { name, random: new Random(hashOf(`${this.#seed} ${name}`)), life, children: 0 };
  }

  /** The next thing that the code which runs now sets off. */
  child(life: Life | null = this.current().life): Cause {
    const parent = this.current();
    return this.cause(`${parent.name}.${++parent.children}`, life);
  }

  /** Plans an event. What its cause's life has not lived to see does not happen. */
  plan(afterMs: number, cause: Cause, run: () => void): Event {
    const event = {
      at: this.now + Math.max(0, Math.round(afterMs)),
      number: ++this.#numbers,
      cause,
      run,
      cancelled: false,
    };
    push(this.#heap, event);
    return event;
  }

  /** Milliseconds pass for whoever waits. */
  sleep(ms: number): Promise<void> {
    return new Promise((wake) => this.plan(ms, this.current(), wake));
  }

  /** Runs real work: one after the other, and no event happens before it is over. */
  real<T>(work: () => Promise<T>): Promise<T> {
    this.#underWay += 1;
    const result = this.#queue.then(work);
    this.#queue = result.then(() => this.#over(), () => this.#over());
    return result;
  }

  #over(): void {
    this.#underWay -= 1;
    if (this.#underWay > 0) return;
    this.#idle?.();
    this.#idle = null;
  }

  /** Writes a line of the trace; `detail` counts for its hash without standing in the line. */
  note(who: string, what: string, detail: string | Uint8Array = ""): void {
    const line = `${((this.now - beginning) / 1000).toFixed(3)} ${who} ${what}`;
    this.#hash.update(line);
    this.#hash.update(detail);
    this.#onLine?.(line);
  }

  hash(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Takes events one after the other, until `done` or until none is left. */
  async run(done: () => boolean): Promise<void> {
    await this.#settle();
    while (!done()) {
      const event = pop(this.#heap);
      if (event === undefined) return;
      if (event.cancelled || event.cause.life?.dead === true) continue;
      this.#sameMs = event.at === this.now ? this.#sameMs + 1 : 0;
      this.now = Math.max(this.now, event.at);
      this.events += 1;
      this.#storage.run(event.cause, event.run);
      await this.#settle();
    }
  }

  async #settle(): Promise<void> {
    for (let quiet = 0; quiet < this.#turns;) {
      if (this.#underWay > 0) {
        await new Promise<void>((idle) => this.#idle = idle);
        quiet = 0;
      } else {
        await new Promise<void>((turn) => afterThisTurn(turn));
        quiet += 1;
      }
    }
  }

  #startTimer(ms: number, run: () => void): number {
    const event = this.plan(ms, this.current(), () => {
      this.#timers.delete(event.number);
      run();
    });
    this.#timers.set(event.number, event);
    return event.number;
  }

  #stopTimer(id: number): void {
    const event = this.#timers.get(id);
    if (event !== undefined) event.cancelled = true;
    this.#timers.delete(id);
  }
}

/** FNV-1a, stirred: names that differ in one letter lead to chances that have nothing in common. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** One stream for all ids and keys of a world, wide enough that no two are the same (sfc32). */
function manyBytes(seed: number): () => number {
  let [a, b, c, d] = [hashOf(`a${seed}`), hashOf(`b${seed}`), seed | 0, 1];
  return () => {
    const t = (a + b + d++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t | 0;
    return (t >>> 11) & 255;
  };
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.number < b.number);
}

function push(heap: Event[], event: Event): void {
  let at = heap.push(event) - 1;
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = heap[above];
    if (parent === undefined || !before(event, parent)) break;
    heap[at] = parent;
    heap[at = above] = event;
  }
}

function pop(heap: Event[]): Event | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return first;
  let at = 0;
  heap[0] = last;
  for (;;) {
    let least = at;
    for (const child of [2 * at + 1, 2 * at + 2]) {
      const [one, other] = [heap[child], heap[least]];
      if (one !== undefined && other !== undefined && before(one, other)) least = child;
    }
    if (least === at) return first;
    [heap[at], heap[least]] = [heap[least] as Event, heap[at] as Event];
    at = least;
  }
}
