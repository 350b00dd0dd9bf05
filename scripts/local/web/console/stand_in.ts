import { ConsoleError, type Row } from "./database.ts";

function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The list in an answer: the answer itself, or its `data` or `deliveries` member. */
function listOf(body: unknown): Row[] {
  const list = isRow(body) ? body.data ?? body.deliveries : body;
  return Array.isArray(list) ? list.filter(isRow) : [];
}

/** The last `limit` webhook deliveries that the Stripe stand-in tried, newest first. */
export async function readDeliveries(stripeUrl: string, limit: number): Promise<Row[]> {
  try {
    const response = await fetch(`${stripeUrl}/_control/deliveries?limit=${limit}`, {
      signal: AbortSignal.timeout(3000),
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw new ConsoleError(`The Stripe stand-in answered ${response.status}.`);
    }
    return listOf(await response.json()).sort((a, b) => String(b.at).localeCompare(String(a.at)));
  } catch (error) {
    if (error instanceof ConsoleError) throw error;
    throw new ConsoleError(`The Stripe stand-in at ${stripeUrl} does not answer.`);
  }
}

/** The health function's own view: `{ status, checks }`. */
export async function readHealth(apiUrl: string, secretKey: string): Promise<Row> {
  try {
    const response = await fetch(`${apiUrl}/functions/v1/health`, {
      headers: { apikey: secretKey },
      signal: AbortSignal.timeout(3000),
    });
    const body: unknown = await response.json();
    return isRow(body) ? body : {};
  } catch {
    throw new ConsoleError(`The health function at ${apiUrl} does not answer.`);
  }
}
