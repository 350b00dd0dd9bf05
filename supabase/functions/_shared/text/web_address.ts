/** Addresses that the shop has written: absolute, or a path on its own site. */

/** Stripe refuses longer addresses of images. */
const lengthMax = 2_048;

/**
 * The absolute address that `value` means on the site, or null for none and for what is no address that may be shown:
 * other sites are reached by https only, our own as `siteUrl` is.
 */
export function webAddress(value: string | null, siteUrl: string): string | null {
  if (value === null || value.trim() === "" || !URL.canParse(value, siteUrl)) return null;
  const url = new URL(value, siteUrl);
  const fit = url.protocol === "https:" || url.origin === new URL(siteUrl).origin;
  return fit && url.href.length <= lengthMax ? url.href : null;
}
