/** Which web origins may call and be returned to: those of ALLOWED_ORIGINS, and in development any of this machine. */

/** A storefront under development is served from some port of the developer's own machine. */
export const loopbackOrigins: readonly string[] = [
  "http://localhost:*",
  "http://127.0.0.1:*",
  "http://[::1]:*",
];

/** Whether `origin` is in a list of origins, in which `:*` stands for any port. */
export function isListedOrigin(origin: string, list: readonly string[]): boolean {
  return list.some((entry) => {
    if (!entry.endsWith(":*")) return entry === origin;
    const base = entry.slice(0, -":*".length);
    return origin === base ||
      origin.startsWith(`${base}:`) && /^\d{1,5}$/.test(origin.slice(base.length + 1));
  });
}

/** The host names of a list of origins. */
export function hostsOf(list: readonly string[]): string[] {
  return list.map((entry) => new URL(entry.replace(/:\*$/, "")).hostname);
}
