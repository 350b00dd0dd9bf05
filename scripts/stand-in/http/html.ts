/**
 * Markup that is safe to send: built only by {@link html}, which escapes every interpolated value.
 */
export class Html {
  constructor(readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

/** What may stand inside an {@link html} template; nothing is written for null, undefined and false. */
export type Part = Html | string | number | bigint | boolean | null | undefined | readonly Part[];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Escapes text for use in element content and in quoted attributes. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

function render(part: Part): string {
  if (part === null || part === undefined || part === false) return "";
  if (part instanceof Html) return part.text;
  if (Array.isArray(part)) return part.map(render).join("");
  return escapeHtml(String(part));
}

/** Template tag for markup: literals are kept, values are escaped, nested {@link Html} is inserted as it is. */
export function html(literals: TemplateStringsArray, ...parts: Part[]): Html {
  let text = literals[0] ?? "";
  for (const [index, part] of parts.entries()) text += render(part) + (literals[index + 1] ?? "");
  return new Html(text);
}
