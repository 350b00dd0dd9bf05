/** A half drawn on the left of x = 200, and its mirror image. */
export function mirrored(half: string): string {
  return `${half}<g transform="translate(400 0) scale(-1 1)">${half}</g>`;
}
