/** The one API version whose shapes the stand-in speaks; stripe-node 23.1 pins the same. */
export const API_VERSION = "2026-10-28.endive";

/**
 * The version read into requests of the Stripe CLI that carry no `Stripe-Version`. Its trigger fixtures are
 * written against an older account default and still send parameters that newer versions refuse.
 */
export const CLI_FIXTURE_VERSION = "2026-08-26.dahlia";

/** Versions start with their release date, so the order of dates is the order of versions. */
export function isOlderVersion(version: string): boolean {
  return version.slice(0, 10) < API_VERSION.slice(0, 10);
}

/** A version Stripe could have published by now: a date, and a release name since late 2024. */
export function isVersion(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}(\.[a-z]+)?$/.test(text) && text.slice(0, 10) <= API_VERSION.slice(0, 10);
}
