/**
 * Work on many objects, where one that cannot be handled must not keep the others waiting: a session that Stripe does
 * not know, facts that the database refuses.
 */
import { AppError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { classifyStripeFailure, stripeErrorOf } from "../stripe/client.ts";

/** What stood in the way of one object. */
export interface Problem {
  /** The object's id. */
  id: string;
  error: unknown;
}

/**
 * Runs `work` on one object. An error that is about this object alone is added to `problems`.
 * @throws whatever else went wrong: while Stripe or the database is away, the next object would fare no better.
 */
export async function attempt(
  id: string,
  { problems, log }: { problems: Problem[]; log: Logger },
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isAboutOne(error)) throw error;
    log.warn("object_left_out", { object_id: id, error });
    problems.push({ id, error });
  }
}

/** Throws the first problem, so that a job which left something out is tried again and in the end tells staff. */
export function throwFirst([first]: Problem[]): void {
  if (first !== undefined) throw first.error;
}

function isAboutOne(error: unknown): boolean {
  if (!(error instanceof AppError)) return true;
  if (stripeErrorOf(error) !== null) return classifyStripeFailure(error) === "discard";
  return error.code !== "database_unavailable" && error.code !== "stripe_unavailable";
}
