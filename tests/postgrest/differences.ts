/** The differences between the REST layer and PostgREST that are meant; docs/testing.md says why. */
import type { Answer } from "./sides.ts";
import type { Ask } from "./queries/ask.ts";

/** Whether an answer may differ from PostgREST's. */
type Difference = (ask: Ask, wanted: Answer, found: Answer) => boolean;

const field = ({ body }: Answer, name: string): string => {
  const value = typeof body === "object" && body !== null ? (body as Record<string, unknown>)[name] : null;
  return typeof value === "string" ? value : "";
};

/** What the layer does not have, by the words with which it says so. */
const WITHOUT = [
  "the computed relationship",
  "embedding in or of the view",
];

export const DIFFERENCES: Record<string, Difference> = {
  "what the layer does not have": (_ask, _wanted, found) =>
    found.status === 501 && WITHOUT.some((feature) => field(found, "message").includes(feature)),
  "a write without conditions": ({ method }, wanted, found) =>
    ["PATCH", "DELETE"].includes(method) && wanted.status < 300 && field(found, "code") === "21000",
  "the name that a hint guesses": (_ask, wanted, found) =>
    field(wanted, "hint").startsWith("Perhaps you meant") &&
    ["code", "message", "details"].every((name) => field(wanted, name) === field(found, name)),
};
