/** How many of something may start now, so that on average no more than `perSecond` do. */
export interface Pace {
  /** Whole ones; up to a second's worth after a pause. */
  allowed(): number;
  take(count: number): void;
  /** Milliseconds until one is allowed. */
  msToNext(): number;
}

/** A token bucket that holds a second's worth. `now` is in milliseconds. */
export function createPace(perSecond: number, now: () => number): Pace {
  let tokens = perSecond;
  let filledAt = now();
  const fill = () => {
    const at = now();
    tokens = Math.min(perSecond, tokens + Math.max(0, at - filledAt) * perSecond / 1000);
    filledAt = at;
  };
  return {
    allowed() {
      fill();
      return Math.max(0, Math.floor(tokens));
    },
    take(count) {
      tokens -= count;
    },
    msToNext() {
      fill();
      return Math.max(0, Math.ceil((1 - tokens) * 1000 / perSecond));
    },
  };
}
