/** Entries of docs/runbook.md, as far as Markdown is used there. */

/** A piece of a line. */
export interface Span {
  kind: "text" | "strong" | "code";
  text: string;
}

/** A paragraph, or a point of a list. */
export interface Block {
  kind: "paragraph" | "point";
  spans: Span[];
}

/** The entry of a kind of alert: what stands under its heading; null when there is none. */
export function entryOf(page: string, kind: string): Block[] | null {
  const lines = page.split("\n");
  const start = lines.indexOf(`### ${kind}`);
  if (start === -1) return null;
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => /^#{1,3} /.test(line));
  return blocksOf(end === -1 ? rest : rest.slice(0, end));
}

function blocksOf(lines: readonly string[]): Block[] {
  const blocks: { kind: Block["kind"]; text: string }[] = [];
  let open = false;
  for (const line of lines) {
    const last = blocks.at(-1);
    if (line.trim() === "") open = false;
    else if (/^- /.test(line)) {
      blocks.push({ kind: "point", text: line.slice(2) });
      open = true;
    } else if (open && last !== undefined) last.text += ` ${line.trim()}`;
    else {
      blocks.push({ kind: "paragraph", text: line.trim() });
      open = true;
    }
  }
  return blocks.map(({ kind, text }) => ({ kind, spans: spansOf(text) }));
}

/** Links lead to pages that are not here: their words stay. */
function spansOf(text: string): Span[] {
  const spans: Span[] = [];
  const plain = text.replaceAll(/\[([^\]]+)\]\([^)]*\)/g, "$1");
  let at = 0;
  for (const match of plain.matchAll(/\*\*(.+?)\*\*|`([^`]+)`/g)) {
    if (match.index > at) spans.push({ kind: "text", text: plain.slice(at, match.index) });
    spans.push(
      match[1] === undefined ? { kind: "code", text: match[2] ?? "" } : { kind: "strong", text: match[1] },
    );
    at = match.index + match[0].length;
  }
  if (at < plain.length) spans.push({ kind: "text", text: plain.slice(at) });
  return spans;
}
