/**
 * Whether a text shows something, in whatever case. A number counts by itself alone: four digits of a card stand within
 * a time of day or an id now and then.
 */
export function shows(text: string, what: string): boolean {
  if (/^\d+$/.test(what)) return new RegExp(`(?<!\\w)${what}(?!\\w)`).test(text);
  return text.toLowerCase().includes(what.toLowerCase());
}
