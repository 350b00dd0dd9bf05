/**
 * A small writer of PDF files: text, line by line, in the fixed-width fonts that every reader has. The same document is
 * the same bytes. For what is written and why it is our own, see decision 109.
 */

/** A line: text, a heading, or two texts at the edges of the page. */
export type PdfLine = string | { heading: string } | { left: string; right: string };

export interface PdfDocument {
  title: string;
  lines: readonly PdfLine[];
}

/** A4, in points. */
const page = { width: 595, height: 842, margin: 56 };
const size = 9.5;
const leading = 13;
/** Courier's letters are 0.6 of its size wide. */
const columns = Math.floor((page.width - 2 * page.margin) / (size * 0.6));
/** Two lines are the footer's. */
const rows = Math.floor((page.height - 2 * page.margin) / leading) - 2;
/** Far below the 50 pages that Stripe takes of a dispute, and the 19 after which Mastercard charges for each. */
const pagesMax = 12;

/** What encoding a text makes, in the words of whichever version of TypeScript the hosted runtime has. */
export type Bytes = ReturnType<TextEncoder["encode"]>;

/** The file. */
export function writePdf(document: PdfDocument): Bytes {
  const pages = paged(document);
  const footer = (index: number) => `${document.title} – page ${index + 1} of ${pages.length}`;
  return assembled(document.title, pages.map((rows, index) => drawn(rows, footer(index))));
}

/** What its reader sees: lines of pages, without their footers. */
export function pdfPages(document: PdfDocument): PdfRow[][] {
  return paged(document).map((rows) => rows.map(({ text, bold }) => ({ text: read(text), bold })));
}

/** Lines of pages. What does not fit on twelve is left out, and the last line says so. */
function paged({ title, lines }: PdfDocument): PdfRow[][] {
  const all = [{ heading: title }, "", ...lines].flatMap(wrapped);
  const room = pagesMax * rows;
  const kept = all.length <= room
    ? all
    : [...all.slice(0, room - 1), { text: "(The rest is left out.)", bold: false }];
  return Array.from(
    { length: Math.ceil(kept.length / rows) },
    (_, index) => kept.slice(index * rows, (index + 1) * rows),
  );
}

/** A line that fits on a page. */
export interface PdfRow {
  text: string;
  bold: boolean;
}

function wrapped(line: PdfLine): PdfRow[] {
  if (typeof line === "string") return fold(line).map((text) => ({ text, bold: false }));
  if ("heading" in line) return fold(line.heading).map((text) => ({ text, bold: true }));
  const right = latin(line.right);
  const folded = fold(line.left, columns - right.length - 2);
  const last = folded.at(-1) ?? "";
  const rows = [...folded.slice(0, -1), last.padEnd(columns - right.length) + right];
  return rows.map((text) => ({ text, bold: false }));
}

/** The text on lines of so many letters, broken between words where there are any. */
function fold(text: string, width = columns): string[] {
  return latin(text).split("\n").flatMap((line) => {
    const rows: string[] = [];
    let rest = line.trimEnd();
    while (rest.length > width) {
      const space = rest.lastIndexOf(" ", width);
      const end = space > width / 2 ? space : width;
      rows.push(rest.slice(0, end));
      rest = rest.slice(end).trimStart();
    }
    return [...rows, rest];
  });
}

/** What a page shows, in PDF's language. */
function drawn(rows: readonly PdfRow[], footer: string): string {
  const top = page.height - page.margin - size;
  const texts = rows.map(({ text, bold }, index) =>
    text === "" ? "" : show(text, bold, top - index * leading)
  );
  return [...texts.filter((text) => text !== ""), show(latin(footer), false, page.margin - leading)].join(
    "\n",
  );
}

function show(text: string, bold: boolean, y: number): string {
  return `BT /${bold ? "F2" : "F1"} ${size} Tf ${page.margin} ${y} Td ${literal(text)} Tj ET`;
}

/** Bytes as the font shows them. */
function read(text: string): string {
  return new TextDecoder("windows-1252").decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
}

function literal(text: string): string {
  return `(${text.replace(/[\\()]/g, "\\$&")})`;
}

/** The objects of the file and the table of where they begin (ISO 32000-1, 7.5). One letter is one byte. */
function assembled(title: string, contents: readonly string[]): Bytes {
  const first = 6;
  const pageIds = contents.map((_, index) => first + 2 * index);
  const font = (name: string) =>
    `<< /Type /Font /Subtype /Type1 /BaseFont /${name} /Encoding /WinAnsiEncoding >>`;
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    `<< /Type /Pages /Kids [${pageIds.map((id) => `${id} 0 R`).join(" ")}] /Count ${contents.length} >>`,
    font("Courier"),
    font("Courier-Bold"),
    `<< /Title ${literal(latin(title).replaceAll("\n", " "))} >>`,
    ...contents.flatMap((content, index) => [
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${page.width} ${page.height}] ` +
      `/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> /Contents ${first + 2 * index + 1} 0 R >>`,
      `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
    ]),
  ];
  let text = "%PDF-1.4\n%\xe2\xe3\xcf\xd3\n";
  const begins = objects.map((object, index) => {
    const at = text.length;
    text += [`${index + 1} 0 obj`, object, "endobj", ""].join("\n");
    return at;
  });
  const entries = begins.map((at) => `${String(at).padStart(10, "0")} 00000 n \n`).join("");
  const count = objects.length + 1;
  const trailer = `trailer\n<< /Size ${count} /Root 1 0 R /Info 5 0 R >>`;
  text += [
    "xref",
    `0 ${count}`,
    `0000000000 65535 f \n${entries}${trailer}`,
    "startxref",
    text.length,
    "%%EOF",
    "",
  ]
    .join("\n");
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** Letters of Windows-1252 that stand elsewhere in Unicode, from 0x80 on; a space: there is none. */
const windows = "€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ";
/** Letters that have no accent to take off. */
const plain: Record<string, string> = { ł: "l", Ł: "L", đ: "d", Đ: "D", ı: "i", ẞ: "SS", "−": "-" };

/**
 * The text in Windows-1252, a letter for each byte: the fonts have no others. Accents that it does not know are taken
 * off, other writing becomes question marks.
 */
function latin(text: string): string {
  return [...text.normalize("NFC").replaceAll("\r\n", "\n")].map((letter) => {
    const known = byteOf(letter);
    if (known !== null) return known;
    const bare = plain[letter] ?? letter.normalize("NFKD").replaceAll(/\p{M}/gu, "");
    return [...bare].map((each) => byteOf(each) ?? "?").join("");
  }).join("");
}

function byteOf(letter: string): string | null {
  const code = letter.codePointAt(0) ?? 0;
  if (letter === "\n" || (code >= 0x20 && code < 0x7f) || (code >= 0xa1 && code <= 0xff)) return letter;
  if (code < 0x20 || /\s/.test(letter)) return " ";
  const at = windows.indexOf(letter);
  return at < 0 ? null : String.fromCharCode(0x80 + at);
}
