/** Reading ids out of Stripe's objects: expandable references, and the metadata that makes an object ours. */

/** The id behind a reference, expanded or not. */
export function idOf(reference: string | { id: string } | null | undefined): string | null {
  if (reference === null || reference === undefined) return null;
  return typeof reference === "string" ? reference : reference.id;
}

/** The expanded object behind a reference, or null when only its id came. */
export function expandedOf<T extends object>(reference: string | T | null | undefined): T | null {
  return typeof reference === "object" ? reference : null;
}

/** The order that an object of ours belongs to; null for objects that something else created. */
export function orderIdOf(metadata: Record<string, string> | null | undefined): string | null {
  const id = metadata?.["order_id"];
  const isUuid = id !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id);
  return isUuid ? id.toLowerCase() : null;
}
