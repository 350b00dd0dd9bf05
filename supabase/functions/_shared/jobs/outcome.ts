/** How a job can end: a closed set, as in Oban. Anything a handler throws is a retry. */
import type Stripe from "stripe";
import type { Env } from "../env.ts";
import { AppError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Job, Rpc } from "../rpc.ts";
import { classifyStripeFailure, stripeErrorOf } from "../stripe.ts";

export type Outcome =
  /** The effect is in place. */
  | { kind: "done" }
  /** The effect is not needed any more, or can never be had. */
  | { kind: "discard"; reason: string }
  /** Not yet; `after` overrides the backoff. Costs an attempt. */
  | { kind: "retry"; error: string; after?: Date }
  /** Not this job's fault; costs no attempt. */
  | { kind: "snooze"; until: Date; reason: string };

export interface JobContext {
  env: Env;
  rpc: Rpc;
  stripe: Stripe;
  /** For providers without an SDK (mail, alerts). */
  fetch: typeof fetch;
  now: () => number;
  log: Logger;
}

export type JobHandler = (job: Job, context: JobContext) => Promise<Outcome>;

export const done: Outcome = { kind: "done" };

/** A wrong or revoked key needs a person; until then all of Stripe's jobs wait this long between looks. */
const authenticationSnoozeMs = 10 * 60_000;

/** The outcome for an error: retry, unless Stripe said that trying again is no use. */
export function outcomeOf(error: unknown, now: number): Outcome {
  const message = describe(error);
  if (stripeErrorOf(error) === null) return { kind: "retry", error: message, ...waitOf(error, now) };
  switch (classifyStripeFailure(error)) {
    case "discard":
      return { kind: "discard", reason: message };
    case "authentication":
      return { kind: "snooze", until: new Date(now + authenticationSnoozeMs), reason: message };
    case "retry":
      return { kind: "retry", error: message, ...waitOf(error, now) };
  }
}

/** A field of the payload that must be a text. */
export function textField(job: Job, name: string): string {
  const value = job.payload[name];
  if (typeof value !== "string" || value === "") {
    throw new Error(`job ${job.id} (${job.kind}) has no ${name}`);
  }
  return value;
}

/** Stripe's or a mail provider's wish to be left alone for a while. */
function waitOf(error: unknown, now: number): { after?: Date } {
  const failure = stripeErrorOf(error);
  if (failure?.statusCode !== 429 || !(error instanceof AppError) || error.retryAfterSeconds === undefined) {
    return {};
  }
  return { after: new Date(now + error.retryAfterSeconds * 1000) };
}

function describe(error: unknown): string {
  const failure = stripeErrorOf(error);
  if (failure !== null) {
    return `stripe ${failure.statusCode ?? "connection"} ${failure.code ?? failure.type}: ${failure.message}`;
  }
  const cause = error instanceof AppError ? error.cause : undefined;
  const detail = cause instanceof Error ? `: ${cause.message}` : "";
  return `${error instanceof Error ? error.message : String(error)}${detail}`;
}
