/** Addresses that are this very machine: whose, depends on who reads them. */

/** Whether a web address leads back to the machine that follows it. Written forms such as 127.1 are known as well. */
export function isLoopback(url: string): boolean {
  const host = URL.parse(url)?.hostname ?? "";
  return /^(localhost|.+\.localhost|127(\.\d+){3}|0\.0\.0\.0|\[::1?\]|\[::ffff:7f\w\w:\w+\])\.?$/.test(host);
}
