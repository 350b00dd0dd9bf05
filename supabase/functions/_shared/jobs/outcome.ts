/** How a job can end: a closed set, as in Oban. Anything a handler throws becomes one of them. */
import type Stripe from "stripe";
import type { Env } from "../env.ts";
import { AppError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Job, JobResult } from "../database/jobs.ts";
import type { JobCalls } from "./calls.ts";
import { classifyStripeFailure, isReplayedFailure, stripeErrorOf } from "../stripe/client.ts";

type Severity = "warning" | "critical";

export type Outcome =
  /** The effect is in place. */
  | { kind: "done" }
  /**
   * The effect is not needed any more, or can never be had; `alert` when staff have to do something instead.
   * `provider`: the provider itself said so, so it can be reached.
   */
  | { kind: "discard"; reason: string; alert?: Severity; provider?: "up" }
  /**
   * Not yet; `after` overrides the backoff. Costs an attempt, unless `provider` says that it cannot be reached and
   * that has been going on for a while. `alert`: staff should know already.
   */
  | {
    kind: "retry";
    error: string;
    after?: Date;
    provider?: "up" | "down" | "unauthorized";
    alert?: Severity;
  }
  /** Not this job's fault; costs no attempt. */
  | { kind: "snooze"; until: Date; reason: string; alert?: Severity };

export interface JobContext {
  env: Env;
  rpc: JobCalls;
  stripe: Stripe;
  /** For providers without an SDK (mail, alerts). */
  fetch: typeof fetch;
  now: () => number;
  log: Logger;
}

export type JobHandler = (job: Job, context: JobContext) => Promise<Outcome>;

export const done: Outcome = { kind: "done" };

/** A key that lacks a permission needs a person; until then the job waits this long between looks. */
const permissionSnoozeMs = 10 * 60_000;

/** The outcome for an error: retry, unless Stripe said that trying again is no use. */
export function outcomeOf(error: unknown, now: number): Outcome {
  const message = describe(error);
  const failure = stripeErrorOf(error);
  if (failure === null) {
    const stripeSilent = error instanceof AppError && error.code === "stripe_unavailable";
    return { kind: "retry", error: message, ...(stripeSilent ? { provider: "down" } : {}) };
  }
  switch (classifyStripeFailure(error)) {
    case "discard":
      return { kind: "discard", reason: message, alert: "critical", provider: "up" };
    case "authentication":
      return failure.statusCode === 403
        ? { kind: "snooze", until: new Date(now + permissionSnoozeMs), reason: message, alert: "critical" }
        : { kind: "retry", error: message, provider: "unauthorized" };
    case "retry":
      return {
        kind: "retry",
        error: message,
        ...waitOf(error, now),
        ...providerAfter(error),
      };
  }
}

/** An outcome as `finishJobs` takes it. */
export function resultOf(job: Pick<Job, "id" | "lease_id">, outcome: Outcome): JobResult {
  const result = { id: job.id, lease_id: job.lease_id, outcome: outcome.kind };
  const nothing = { reason: null, run_at: null, alert: null, provider_state: null };
  switch (outcome.kind) {
    case "done":
      return { ...nothing, ...result, provider_state: "up" };
    case "discard":
      return {
        ...nothing,
        ...result,
        reason: outcome.reason,
        alert: outcome.alert ?? null,
        provider_state: outcome.provider ?? null,
      };
    case "retry":
      return {
        ...nothing,
        ...result,
        reason: outcome.error,
        run_at: outcome.after?.toISOString() ?? null,
        alert: outcome.alert ?? null,
        provider_state: outcome.provider ?? null,
      };
    case "snooze":
      return {
        ...nothing,
        ...result,
        reason: outcome.reason,
        run_at: outcome.until.toISOString(),
        alert: outcome.alert ?? null,
      };
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

/** What a failure that may pass says of Stripe: a stored one that is replayed, nothing of how it is by now. */
function providerAfter(error: unknown): { provider?: "up" | "down" } {
  if (isReplayedFailure(error)) return {};
  return { provider: isConflict(error) ? "up" : "down" };
}

/** Stripe answers, and somebody else works on the same object. */
function isConflict(error: unknown): boolean {
  const failure = stripeErrorOf(error);
  return failure?.statusCode === 409 || failure?.code === "lock_timeout";
}

/** Stripe's wish to be left alone for a while. */
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
