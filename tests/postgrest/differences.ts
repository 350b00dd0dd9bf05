/** The differences between the REST layer and PostgREST that are meant; docs/testing.md says why. */
import type { Answer } from "./sides.ts";
import type { Ask } from "./queries/ask.ts";

/** Whether an answer may differ from PostgREST's. */
type Difference = (ask: Ask, wanted: Answer, found: Answer) => boolean;

const field = ({ status, body }: Answer, name: string): string => {
  const value = status < 300 || body === "" ? null : JSON.parse(body)[name];
  return typeof value === "string" ? value : "";
};

export const DIFFERENCES: Record<string, Difference> = {
  "embedding in or of a view": (_ask, _wanted, found) =>
    found.status === 501 && field(found, "message").includes("embedding in or of the view"),
  "a write without conditions": ({ method }, wanted, found) =>
    ["PATCH", "DELETE"].includes(method) && wanted.status < 300 && field(found, "code") === "21000",
  "the name that a hint guesses": (_ask, wanted, found) =>
    field(wanted, "hint").startsWith("Perhaps you meant") &&
    ["code", "message", "details"].every((name) => field(wanted, name) === field(found, name)),
};
