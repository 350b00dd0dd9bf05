/** How hard the searches try. */

/** Random orders per test: `CONVERGENCE_RUNS`, or a number that keeps the everyday run short. */
export const runs = Number(Deno.env.get("CONVERGENCE_RUNS") ?? 30);

/** From 2 000 runs on, every lifecycle is searched at every distance of events as well. */
export const thorough = runs >= 2_000;

/** Where the random orders start: `CONVERGENCE_SEED`, as printed by a failure. */
export const firstSeed = Number(Deno.env.get("CONVERGENCE_SEED") ?? 1);

/** A small, fast generator with a full period (mulberry32): the same seed gives the same order everywhere. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A random sequence in which every index below `length` comes once, and up to twice more. */
export function shuffledWithDuplicates(length: number, random: () => number): number[] {
  const sequence = Array.from({ length }, (_, index) => index)
    .flatMap((index) => Array.from({ length: 1 + Math.floor(random() ** 2 * 3) }, () => index));
  for (let last = sequence.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [sequence[last], sequence[other]] = [sequence[other] ?? 0, sequence[last] ?? 0];
  }
  return sequence;
}
