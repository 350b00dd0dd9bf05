/** Of a world that fails, the fewest steps with which it still does (delta debugging). */
import type { Step } from "./steps.ts";

/**
 * Returns steps that `fails` says true of, none of which can be left out; `limit` bounds how often it is asked. Whole
 * orders are tried first, since most have nothing to do with it.
 */
export async function shrink(
  steps: readonly Step[],
  fails: (steps: Step[]) => Promise<boolean>,
  limit = 300,
): Promise<Step[]> {
  let asked = 0;
  const reduce = async (units: Step[][]): Promise<Step[][]> => {
    let kept = units;
    for (let parts = 2; kept.length > 0 && asked < limit;) {
      const size = Math.ceil(kept.length / parts);
      const smaller = await firstThatFails(kept, size);
      if (smaller !== null) {
        kept = smaller;
        parts = Math.max(2, parts - 1);
      } else if (size === 1) return kept;
      else parts = Math.min(kept.length, parts * 2);
    }
    return kept;
  };
  const firstThatFails = async (units: Step[][], size: number): Promise<Step[][] | null> => {
    for (let from = 0; from < units.length && asked < limit; from += size) {
      const without = [...units.slice(0, from), ...units.slice(from + size)];
      asked += 1;
      if (await fails(inOrder(without.flat()))) return without;
    }
    return null;
  };
  const orders = Map.groupBy(steps, (step) => "order" in step ? step.order : step);
  const ofOrders = await reduce([...orders.values()]);
  return inOrder((await reduce(ofOrders.flat().map((step) => [step]))).flat());
}

function inOrder(steps: Step[]): Step[] {
  return steps.toSorted((a, b) => a.at - b.at);
}
