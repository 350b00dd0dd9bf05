/** What a provider's answer means for the job that asked. */
import type { MailAnswer } from "../mail_providers/provider.ts";
import type { Outcome } from "./outcome.ts";

/** When a mail that was neither sent nor refused is tried again. */
export function laterOutcome(
  answer: Exclude<MailAnswer, { kind: "sent" | "refused" }>,
  now: number,
): Extract<Outcome, { kind: "retry" | "snooze" }> {
  const { error } = answer;
  switch (answer.kind) {
    case "busy":
      return { kind: "snooze", until: new Date(now + answer.waitMs), reason: error };
    case "misunderstood":
      return { kind: "retry", error, provider: "up" };
    case "unauthorized":
    case "down":
      return { kind: "retry", error, provider: answer.kind };
  }
}
