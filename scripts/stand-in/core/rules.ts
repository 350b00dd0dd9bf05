/** What Stripe asks of several parameters together: which exclude each other, which need one another. */
import type { Context } from "./context.ts";
import { invalidRequest } from "./errors.ts";
import type { Rule } from "./fields.ts";

/** At most one of these may be given. */
export function onlyOneOf(...names: string[]): Rule {
  return (value, at) => {
    const given = names.filter((name) => value[name] !== undefined);
    const [, second] = given;
    if (second === undefined) return;
    throw invalidRequest(`You may only specify one of these parameters: ${given.join(", ")}.`, at(second));
  };
}

/** At least one of these must be given; the refusal names the first. */
export function someOf(message: string, ...names: string[]): Rule {
  return (value, at) => {
    if (names.some((name) => value[name] !== undefined)) return;
    throw invalidRequest(message, at(names[0] ?? ""), "parameter_missing");
  };
}

/** These may be given only where `holds`; `message` says so of the one that was. */
export function onlyWhere(
  holds: (value: Record<string, unknown>) => boolean,
  message: (name: string) => string,
  ...names: string[]
): Rule {
  return (value, at) => {
    const given = names.find((name) => value[name] !== undefined);
    if (given !== undefined && !holds(value)) throw invalidRequest(message(given), at(given));
  };
}

/** Given the one, the other is needed too. */
export function needs(name: string, other: string): Rule {
  return (value, at) => {
    if (value[name] === undefined || value[other] !== undefined) return;
    throw invalidRequest(
      `Missing required param: ${at(other)}. It must be given together with ${at(name)}.`,
      at(other),
      "parameter_missing",
    );
  };
}

/** Refuses a moment (seconds since 1970) that has passed, or that is further off than Stripe lets it be. */
export function checkFuture(
  context: Context,
  at: number | undefined,
  param: string,
  withinS = Infinity,
): void {
  if (at !== undefined && at <= context.now) {
    throw invalidRequest(`The \`${param}\` timestamp must be in the future.`, param);
  }
  if (at !== undefined && at > context.now + withinS) {
    throw invalidRequest(`The \`${param}\` timestamp is too far in the future.`, param);
  }
}
