/** Asks again until `question` answers something other than null, undefined or false; throws after the deadline. */
export async function eventually<T>(
  what: string,
  question: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  deadlineMs = 20_000,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  let lastError: unknown;
  for (let pause = 10;; pause = Math.min(pause * 1.5, 250)) {
    try {
      const answer = await question();
      if (answer !== null && answer !== undefined && answer !== false) return answer;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (Date.now() > end) {
      throw new Error(`gave up after ${deadlineMs} ms waiting for ${what}`, { cause: lastError });
    }
    await new Promise((wake) => setTimeout(wake, pause));
  }
}
