/**
 * What keeps foreign web pages away from the servers of this machine. They listen on loopback only, but a browser is on
 * this machine too: a page may point its own name at 127.0.0.1 (DNS rebinding), or send requests that need no answer.
 */

const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** Whether a request names this machine, and not some name that leads here for the moment. */
export function namesThisMachine(request: Request): boolean {
  const host = request.headers.get("host");
  const named = host === null ||
    URL.canParse(`http://${host}`) && LOOPBACK.has(new URL(`http://${host}`).hostname);
  return named && LOOPBACK.has(new URL(request.url).hostname);
}

/**
 * Whether a request that changes something, or opens a socket, may come from a foreign page. Programs (curl, the Stripe CLI, stripe-node)
 * send neither header; browsers send `Sec-Fetch-Site` to this machine, and older ones `Origin`.
 */
function isFromForeignPage(request: Request): boolean {
  // A browser lets any page open a socket and read it.
  const socket = request.headers.get("upgrade")?.toLowerCase() === "websocket";
  if (!socket && (request.method === "GET" || request.method === "HEAD")) return false;
  const site = request.headers.get("sec-fetch-site");
  if (site !== null) return site !== "same-origin" && site !== "none";
  const origin = request.headers.get("origin");
  return origin !== null && origin !== `http://${request.headers.get("host")}`;
}

/** Why a server of this machine refuses a request, or null. */
export function refusalOf(request: Request): string | null {
  if (!namesThisMachine(request)) return "Only on this machine: ask for 127.0.0.1 or localhost.";
  return isFromForeignPage(request) ? "A page of another site may not do this." : null;
}
