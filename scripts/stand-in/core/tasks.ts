import type { Context, TaskKind } from "./context.ts";
import type { Store } from "./store.ts";

export type TaskHandlers = Record<TaskKind, (context: Context, subject: string) => void>;

interface Task {
  id: number;
  kind: TaskKind;
  subject: string;
}

/** The longest time a timer can hold. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Things that happen later: kept in the store, so that a restart only delays them. */
export class Tasks {
  readonly #store: Store;
  readonly #handlers: TaskHandlers;
  readonly #inContext: (work: (context: Context) => void) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(
    store: Store,
    handlers: TaskHandlers,
    inContext: (work: (context: Context) => void) => void,
  ) {
    this.#store = store;
    this.#handlers = handlers;
    this.#inContext = inContext;
  }

  add(kind: TaskKind, subject: string, afterMs: number): void {
    this.#store.run(
      "insert into tasks (due_at, kind, subject) values (?, ?, ?)",
      Date.now() + afterMs,
      kind,
      subject,
    );
  }

  /** Runs what is due `aheadMs` from now, then sets the alarm. Returns how many ran. */
  run(aheadMs = 0): number {
    if (this.#stopped) return 0;
    clearTimeout(this.#timer);
    let ran = 0;
    for (;;) {
      const task = this.#store.row<Task>(
        "select id, kind, subject from tasks where due_at <= ? order by due_at, id limit 1",
        Date.now() + aheadMs,
      );
      if (task === undefined) break;
      this.#inContext((context) => {
        this.#store.run("delete from tasks where id = ?", task.id);
        this.#handlers[task.kind](context, task.subject);
      });
      ran++;
    }
    const next = this.#store.row<{ at: number | null }>("select min(due_at) as at from tasks")?.at ?? null;
    if (next !== null) {
      this.#timer = setTimeout(() => this.run(), Math.min(MAX_TIMER_MS, Math.max(1, next - Date.now())));
    }
    return ran;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
