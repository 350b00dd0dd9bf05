/** Processor time of other processes (Linux only). It does not depend on what else the machine does, as a clock does. */

/** A process that runs. */
export interface RunningProcess {
  pid: number;
  parent: number;
  command: string;
}

/**
 * Seconds of processors that processes have used so far, theirs that have ended included, by what `partOf` calls
 * them; null: none of its business.
 */
export function processorSeconds(partOf: (process: RunningProcess) => string | null): Map<string, number> {
  const seconds = new Map<string, number>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    let command: string, stat: string;
    try {
      command = Deno.readTextFileSync(`/proc/${name}/cmdline`).replaceAll("\0", " ");
      stat = Deno.readTextFileSync(`/proc/${name}/stat`);
    } catch (error) {
      // It has ended meanwhile.
      if (error instanceof Deno.errors.NotFound || String(error).includes("os error 3")) continue;
      throw error;
    }
    const [, parent, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const part = partOf({ pid: Number(name), parent: Number(parent), command });
    if (part === null) continue;
    // For itself and for the system, then those of children that have ended; a hundredth of a second each.
    const ticks = fields.slice(9, 13).reduce((sum, field) => sum + Number(field), 0);
    seconds.set(part, (seconds.get(part) ?? 0) + ticks / 100);
  }
  return seconds;
}
