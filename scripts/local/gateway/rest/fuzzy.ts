/** Guesses which name was meant, as PostgREST's library does. */

const GRAM_SIZES = [3, 2];
const LEAST_SCORE = 0.33;
/** So many of the likely ones are looked at more closely. */
const CANDIDATES = 50;

/** The name of `known` that is most like `text`, or null when none is like it. */
export function closest(text: string, known: string[]): string | null {
  const wanted = text.toLowerCase();
  const exact = known.find((name) => name.toLowerCase() === wanted);
  if (exact !== undefined) return exact;
  for (const size of GRAM_SIZES) {
    const grams = gramsOf(wanted, size);
    const [best] = known
      .map((name) => ({ name, score: cosine(grams, gramsOf(name.toLowerCase(), size)) }))
      .filter(({ score }) => score > 0)
      .sort((one, other) => other.score - one.score)
      .slice(0, CANDIDATES)
      .map(({ name }) => ({ name, score: likeness(wanted, name.toLowerCase()) }))
      .filter(({ score }) => score >= LEAST_SCORE)
      .sort((one, other) => other.score - one.score);
    if (best !== undefined) return best.name;
  }
  return null;
}

/** How often each piece of `size` characters is in a word. */
function gramsOf(text: string, size: number): Map<string, number> {
  const word = `-${text.replace(/[^\p{L}\p{N}, ]/gu, "")}-`.padEnd(size, "-");
  const grams = new Map<string, number>();
  for (let at = 0; at + size <= word.length; at++) {
    const gram = word.slice(at, at + size);
    grams.set(gram, (grams.get(gram) ?? 0) + 1);
  }
  return grams;
}

function cosine(one: Map<string, number>, other: Map<string, number>): number {
  const length = (grams: Map<string, number>) => Math.hypot(...grams.values());
  const common = [...one].reduce((sum, [gram, count]) => sum + count * (other.get(gram) ?? 0), 0);
  return common / (length(one) * length(other));
}

/** 1 for the same, 0 for nothing in common: by the number of changes that make one of the other. */
function likeness(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (const [index, character] of [...one].entries()) {
    const next = [index + 1];
    for (const [at, wanted] of [...other].entries()) {
      const changed = (row[at] ?? 0) + (character === wanted ? 0 : 1);
      next.push(Math.min(changed, (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    }
    row = next;
  }
  return 1 - (row.at(-1) ?? 0) / Math.max(one.length, other.length);
}
