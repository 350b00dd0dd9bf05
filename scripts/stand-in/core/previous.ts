type Values = { [name: string]: unknown };

function isMap(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * An event's `previous_attributes`: what a change altered, as it was before. Of a map only the altered members
 * are shown; what was not there before is null. Undefined when nothing changed.
 */
export function previousOf(before: object, after: object): Values | undefined {
  const [was, is] = [before as Values, after as Values];
  const previous: Values = {};
  for (const name of new Set([...Object.keys(was), ...Object.keys(is)])) {
    const [old, now] = [was[name] ?? null, is[name] ?? null];
    if (isMap(old) && isMap(now)) {
      const inner = previousOf(old, now);
      if (inner !== undefined) previous[name] = inner;
    } else if (JSON.stringify(old) !== JSON.stringify(now)) {
      previous[name] = old;
    }
  }
  return Object.keys(previous).length === 0 ? undefined : previous;
}
