/** Kinds of environment variables. Errors say what to set, never what was set. */
import { z } from "zod";

/** Any text; `fix` is what an error says. */
export const text = (fix: string) => z.string({ error: fix });

/** One of these words, or the fallback. */
export function choice<const T extends string>(values: readonly [T, ...T[]], fallback: T) {
  return z.enum(values, { error: `set it to one of ${values.join(", ")}` }).default(fallback);
}

/** true or false. */
export function flag(fallback: "true" | "false") {
  return choice(["true", "false"], fallback).transform((value) => value === "true");
}

/** A whole number between these, or the fallback. */
export function wholeNumber(min: number, max: number, fallback: number) {
  const fix = `set a whole number from ${min} to ${max}`;
  return text(fix).regex(/^\d{1,9}$/, { error: fix }).transform(Number)
    .refine((value) => value >= min && value <= max, { error: fix })
    .default(fallback);
}

/** An http or https address; plain http is for the local machine only, where no one listens in between. */
export function webAddress(fix: string) {
  return text(fix).refine((value) => parseWebAddress(value) !== null, { error: fix });
}

/** An address without a user, of http or https; null for any other text. */
export function parseWebAddress(value: string): URL | null {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || url.username !== "" || url.password !== "") return null;
  return url.protocol === "https:" || url.protocol === "http:" ? url : null;
}

/** Whether a text is an origin and nothing more: scheme, host, port. */
export function isOrigin(value: string): boolean {
  return parseWebAddress(value)?.origin === value;
}

/** What stands between commas, if `accepts` takes each. */
export function commaList(fix: string, accepts: (item: string) => boolean) {
  return text(fix)
    .transform((value) => value.split(",").map((item) => item.trim()).filter((item) => item !== ""))
    .refine((items) => items.every(accepts), { error: fix });
}

/** `{"default":"sb_…"}` as Supabase writes it. */
export function keyDictionary(fix: string) {
  return text(fix).transform(parseJson)
    .pipe(z.record(z.string(), z.string().min(8), { error: fix }))
    .refine((keys) => Object.keys(keys).length > 0, { error: fix });
}

/** The value of a JSON text; undefined when it is none. */
export function parseJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}
