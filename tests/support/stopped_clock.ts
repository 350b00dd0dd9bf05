/** Stops this process's `Date.now()` until it is disposed of, so that no window of time turns over in between. */
export function stopClock(): Disposable {
  const { now } = Date;
  const stoppedAt = now();
  Date.now = () => stoppedAt;
  return { [Symbol.dispose]: () => void (Date.now = now) };
}
