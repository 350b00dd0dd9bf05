/** The languages of mails. A further one is a file beside this and a line here; a key that it lacks fails the check. */
import { bestLocale } from "../../text/locale.ts";
import { de } from "./de.ts";
import { en, type Texts } from "./en.ts";

export type { Texts };

export const languages = { en, de } satisfies Record<string, Texts>;

export type Language = keyof typeof languages;

const offered = Object.keys(languages) as Language[];

/** The language that somebody with the first of these tags reads, or with the next; English when no tag helps. */
export function languageOf(...tags: (string | null)[]): Language {
  for (const tag of tags) {
    const found = bestLocale(tag, offered);
    if (found !== null) return found as Language;
  }
  return "en";
}
