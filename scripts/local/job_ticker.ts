/** Interval offline; on a real project pg_cron calls once a minute. */
const TICK_MS = 2_000;

/**
 * Calls `retry-jobs` again and again, as pg_cron does on a real project; returns the way to stop it. The first call is
 * over when this returns: it carries settings of the environment into the database.
 */
export async function startJobTicker(apiUrl: string, secretKey: string): Promise<() => Promise<void>> {
  const stopped = new AbortController();
  await tick(apiUrl, secretKey, stopped.signal);
  const loop = async () => {
    while (!stopped.signal.aborted) {
      await pause(TICK_MS, stopped.signal);
      if (!stopped.signal.aborted) await tick(apiUrl, secretKey, stopped.signal);
    }
  };
  const running = loop();
  return async () => {
    stopped.abort();
    await running;
  };
}

/** What fails here is in the function's own log already, and the next tick tries again. */
async function tick(apiUrl: string, secretKey: string, signal: AbortSignal): Promise<void> {
  try {
    const response = await fetch(`${apiUrl}/functions/v1/retry-jobs`, {
      method: "POST",
      headers: { apikey: secretKey, "content-type": "application/json" },
      body: "{}",
      signal: AbortSignal.any([signal, AbortSignal.timeout(150_000)]),
    });
    await response.body?.cancel();
  } catch {
    return;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
