/** Lives worlds in a thread of its own, whose clocks and chances are the world's. */
import { readAsked, type Told } from "./threads.ts";
import { liveWorld } from "./world.ts";

/** This thread's own console: that of a world is a part of the world. */
const failed = console.error.bind(console);

(self as unknown as { onmessage: (event: MessageEvent) => void }).onmessage = async ({ data }) => {
  const { world, options, traced } = readAsked(data);
  const lines: string[] = [];
  try {
    const report = await liveWorld(world, {
      ...options,
      ...(traced ? { onLine: (line) => lines.push(line) } : {}),
    });
    tell({ report, lines });
  } catch (error) {
    failed(error);
    tell({ failure: error instanceof Error ? error.stack ?? error.message : String(error) });
  }
};

function tell(told: Told): void {
  (self as unknown as { postMessage: (told: Told) => void }).postMessage(told);
}
