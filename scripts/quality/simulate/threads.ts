/** Worlds in threads: each has globals of its own, so a world's clock is nobody else's. */
import type { World, WorldOptions, WorldReport } from "./world.ts";

/** What a thread is asked. */
interface Asked {
  world: World;
  options: Omit<WorldOptions, "onLine">;
  /** The lines of the trace are wanted as well. */
  traced: boolean;
}

/** What a thread answers. */
export type Told = { report: WorldReport; lines: string[] } | { failure: string };

/** The message of a thread as what it is: only this file writes one. */
export function readAsked(data: unknown): Asked {
  return data as Asked;
}

/** A thread that lives one world after the other. */
export interface WorldThread extends Disposable {
  live(
    world: World,
    options: Asked["options"],
    traced?: boolean,
  ): Promise<{ report: WorldReport; lines: string[] }>;
}

export function startThread(): WorldThread {
  const thread = new Worker(import.meta.resolve("./worker.ts"), { type: "module" });
  return {
    live: (world, options, traced = false) =>
      new Promise((resolve, reject) => {
        thread.onmessage = ({ data }: MessageEvent<Told>) =>
          "failure" in data ? reject(new Error(data.failure)) : resolve(data);
        thread.onerror = (event) => {
          event.preventDefault();
          reject(new Error(`a thread died: ${event.message}`));
        };
        thread.postMessage({ world, options, traced } satisfies Asked);
      }),
    [Symbol.dispose]: () => thread.terminate(),
  };
}
