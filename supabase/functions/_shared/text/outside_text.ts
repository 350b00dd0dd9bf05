/** Texts that somebody outside has typed, made fit to stand in ours. */

/** Longer than any name or line of an address that is meant to be read. */
const lengthMax = 100;

/** Controls, every kind of space and line break, and marks that hide text or turn it round; joiners are letters' own. */
const blanks =
  // deno-lint-ignore no-control-regex -- controls are what must not pass
  /[\x00-\x20\x7f-\xa0\u00ad\u061c\u180e\u2000-\u200b\u200e-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]+/g;

/** The text on one line and of bounded length. Only spaces stand between its words. */
export function oneLine(text: string, max = lengthMax): string {
  const characters = [...text.toWellFormed().replace(blanks, " ").trim()];
  return characters.length <= max ? characters.join("") : `${characters.slice(0, max - 1).join("").trim()}…`;
}

/** The first `max` units of a text; a character of two that does not fit is replaced: half of one cannot be sent. */
export function beginningOf(text: string, max: number): string {
  return text.slice(0, max).toWellFormed();
}

/**
 * The text on one line, and nothing in it that a mail program makes a link of: an address needs its dots, its at sign
 * and its scheme in one piece. Names are read as before: J.R.R. Tolkien gets two spaces.
 */
export function withoutLinks(text: string, max = lengthMax): string {
  const broken = oneLine(text, max)
    .replace(/:[/\\]+/g, ": ")
    .replace(/\s*[@＠]\s*/g, " at ")
    .replace(
      /([^\s.])[.。．｡](?=[^\s.,)])/g,
      (dotted, before: string, at: number, whole: string) =>
        /\d/.test(before) && /\d/.test(whole[at + dotted.length] ?? "") ? dotted : `${before}. `,
    );
  return oneLine(broken, max);
}
