/**
 * Lines of an order in the metadata of what it has at Stripe, so that both can be put together again from Stripe alone.
 * `lines_1`, `lines_2`, …: lines with a space between two, as many as a value may hold
 * (https://docs.stripe.com/metadata: 50 keys, 500 characters a value). Nothing of a person is among them.
 */

/** A line as it was sold; amounts in minor units. */
export interface SoldLine {
  sku: string;
  quantity: number;
  unit_amount: number;
  /** Null in what was made before it was told. */
  variant_id: string | null;
}

/** Pieces of a line whose money goes back; `restock`: they go on the shelf with it. */
export interface RefundedLine {
  sku: string;
  quantity: number;
  restock: boolean;
}

const valueLength = 500;

/** `SKU*quantity@unit_amount#variant`, in the keys of metadata. */
export function soldLinesMetadata(lines: SoldLine[]): Record<string, string> {
  return packed(
    lines.map(({ sku, quantity, unit_amount, variant_id }) =>
      `${sku}*${quantity}@${unit_amount}${variant_id === null ? "" : `#${variant_id}`}`
    ),
  );
}

/** The lines that {@linkcode soldLinesMetadata} wrote; null when what stands there is something else. */
export function readSoldLines(metadata: Record<string, string> | null): SoldLine[] | null {
  return read(metadata, /^([A-Za-z0-9._-]{1,64})\*(\d{1,5})@(\d{1,12})(?:#([0-9a-f-]{36}))?$/, (parts) => ({
    sku: parts[1] ?? "",
    quantity: Number(parts[2]),
    unit_amount: Number(parts[3]),
    variant_id: parts[4] ?? null,
  }));
}

/** `SKU*quantity`, with `+` behind it where the pieces go back on the shelf. */
export function refundedLinesMetadata(lines: RefundedLine[]): Record<string, string> {
  return packed(lines.map(({ sku, quantity, restock }) => `${sku}*${quantity}${restock ? "+" : ""}`));
}

/** The lines that {@linkcode refundedLinesMetadata} wrote; null when there are none. */
export function readRefundedLines(metadata: Record<string, string> | null): RefundedLine[] | null {
  return read(metadata, /^([A-Za-z0-9._-]{1,64})\*(\d{1,5})(\+?)$/, (parts) => ({
    sku: parts[1] ?? "",
    quantity: Number(parts[2]),
    restock: parts[3] === "+",
  }));
}

function packed(lines: string[]): Record<string, string> {
  const values: string[] = [];
  for (const line of lines) {
    const last = values.at(-1);
    if (last === undefined || last.length + 1 + line.length > valueLength) values.push(line);
    else values[values.length - 1] = `${last} ${line}`;
  }
  return Object.fromEntries(values.map((value, index) => [`lines_${index + 1}`, value]));
}

function read<T>(
  metadata: Record<string, string> | null,
  pattern: RegExp,
  lineOf: (parts: RegExpExecArray) => T,
): T[] | null {
  const lines: T[] = [];
  for (let index = 1; metadata?.[`lines_${index}`] !== undefined; index++) {
    for (const word of (metadata[`lines_${index}`] ?? "").split(" ")) {
      const parts = pattern.exec(word);
      if (parts === null) return null;
      lines.push(lineOf(parts));
    }
  }
  return lines.length === 0 ? null : lines;
}
