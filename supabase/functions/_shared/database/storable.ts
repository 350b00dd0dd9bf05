/** What may be stored: the last look at a text before it goes to the database. */
import { maskText } from "../log.ts";
import { holdsId, maskCardNumbers } from "../text/card_numbers.ts";

/**
 * A JSON value that may be stored. NUL characters and lone surrogates, legal in JSON, are refused by Postgres, and an
 * event that cannot be stored would be delivered again for days. A card number that somebody has typed into a name, an
 * address or whatever else is masked: the shop must not keep one.
 */
export function storable<T>(value: T): T {
  if (typeof value === "string") return maskCardNumbers(wellFormed(value)) as T;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(storable) as T;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      storable(key),
      typeof item === "string" && holdsId(key) ? wellFormed(item) : storable(item),
    ]),
  ) as T;
}

/** What a provider or the database said, as it may be kept and shown to staff. */
export function maskedOrNull(text: string | null): string | null {
  return text === null ? null : maskText(text);
}

function wellFormed(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}
