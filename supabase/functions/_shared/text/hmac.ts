/** Signatures by HMAC, of which a webhook's header may list several. */

/**
 * Whether any of the signatures is that of the content under any of the keys. The content is hashed once for each key,
 * however many signatures a stranger lists.
 */
export async function isSignedByAny(
  content: ArrayBuffer,
  keys: readonly CryptoKey[],
  signatures: readonly ArrayBuffer[],
): Promise<boolean> {
  const made = await Promise.all(keys.map((key) => crypto.subtle.sign("HMAC", key, content)));
  return made.flatMap((right) => signatures.map((given) => isSame(right, given))).includes(true);
}

/** Whether two digests are the same, in a time that does not depend on where they differ. */
function isSame(one: ArrayBuffer, other: ArrayBuffer): boolean {
  const [left, right] = [new Uint8Array(one), new Uint8Array(other)];
  let difference = left.length ^ right.length;
  for (let at = 0; at < left.length; at++) difference |= (left[at] ?? 0) ^ (right[at] ?? 0);
  return difference === 0;
}
