/** Bodies held against their schema, and what a caller is told about one that does not fit. */
import * as z from "zod/mini";
import { en } from "zod/locales";
import { AppError } from "../errors.ts";

// The small edition of zod comes without words.
z.config(en());

/** A caller corrects a form field by field; nobody reads more than this. */
const issuesMax = 20;
/** Longer than any of our fields: names that we do not know are the caller's, and are not sent back at length. */
const nameLength = 40;

/**
 * A body as its schema has it.
 * @throws AppError `invalid_request` with `details: [{ path, message }]`, bounded in count and length.
 */
export function validBody<T>(schema: z.ZodMiniType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const details = parsed.error.issues.slice(0, issuesMax).map((issue) => {
    const unknown = issue.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : null;
    return {
      path: [...issue.path, ...unknown ?? []].map((name) => shortened(String(name))).join("."),
      message: unknown === null ? issue.message : "unknown field",
    };
  });
  throw new AppError("invalid_request", { details });
}

function shortened(name: string): string {
  const characters = [...name];
  return characters.length <= nameLength ? name : `${characters.slice(0, nameLength).join("")}…`;
}
