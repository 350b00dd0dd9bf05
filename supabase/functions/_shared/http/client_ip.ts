/**
 * The caller's address behind Supabase's proxies.
 *
 * Cloudflare stands in front and overwrites `cf-connecting-ip`. Without it the rightmost valid entry of
 * `x-forwarded-for` counts: each proxy appends, so the leftmost entry is whatever the caller wrote.
 */
import { AppError } from "../errors.ts";

/** The caller's address in canonical form, or null when no header names one. */
export function clientAddress(headers: Headers): string | null {
  const direct = normalizeAddress(headers.get("cf-connecting-ip") ?? "");
  if (direct !== null) return direct;
  const hops = (headers.get("x-forwarded-for") ?? "").split(",");
  for (const hop of hops.reverse()) {
    const address = normalizeAddress(hop);
    if (address !== null) return address;
  }
  return null;
}

/** What a server calls the shopper's address in: ours, and the name that Supabase's own libraries send it under. */
const shopperHeaders = ["x-shopper-ip", "sb-forwarded-for"] as const;

/**
 * The shopper's address: the caller's, or the one that a storefront's server passes along. Anybody can write a
 * header, so it counts only from a caller who has shown the secret key.
 * @param bySecretKey whether the caller has.
 * @throws AppError `invalid_request` when such a caller passes what is no address.
 */
export function shopperAddress(headers: Headers, bySecretKey: boolean): string | null {
  if (!bySecretKey) return clientAddress(headers);
  for (const name of shopperHeaders) {
    const given = headers.get(name)?.trim() ?? "";
    if (given === "") continue;
    const address = normalizeAddress(given);
    if (address !== null) return address;
    throw new AppError("invalid_request", { details: [{ path: name, message: "must be one IP address" }] });
  }
  return clientAddress(headers);
}

/**
 * One spelling per address: dotted IPv4, lower-case compressed IPv6, IPv4-mapped IPv6 as IPv4.
 * Accepts a port, brackets and surrounding space; anything else is null.
 */
export function normalizeAddress(input: string): string | null {
  const value = input.trim();
  if (value === "" || value.length > 64) return null;
  return parseIpv4(value.replace(/^(\d+(?:\.\d+){3}):\d{1,5}$/, "$1")) ??
    parseIpv6(value.replace(/^\[([^\]]*)\](?::\d{1,5})?$/, "$1"));
}

/** A network that an address belongs to, and how many times one caller's limit it may use up. */
export interface AddressBucket {
  key: string;
  factor: number;
}

/**
 * What limits count for one caller, narrow to wide: an IPv4 address, or the /64, /56 and /48 of an IPv6 address (what
 * a phone, a home and a company have), of which each may do more than the one before, but not 256 times as much. The
 * SQL function private.address_keys() is the same for the velocity rules.
 */
export function addressBuckets(address: string | null): AddressBucket[] {
  if (address === null || !address.includes(":")) return [{ key: address ?? "unknown", factor: 1 }];
  const groups = groupsOf(address);
  const home = [...groups.slice(0, 3), (parseInt(groups[3] ?? "0", 16) & 0xff00).toString(16)];
  return [
    { key: `${groups.slice(0, 4).join(":")}::/64`, factor: 1 },
    { key: `${home.join(":")}::/56`, factor: 1.5 },
    { key: `${groups.slice(0, 3).join(":")}::/48`, factor: 3 },
  ];
}

/**
 * The one bucket of a caller where only one is counted: an IPv4 address, or the /56 of an IPv6 address, which is what
 * one connection has as a rule. `unknown` is one bucket for all callers without an address.
 */
export function addressBucket(address: string | null): string {
  const buckets = addressBuckets(address);
  return (buckets[1] ?? buckets[0])?.key ?? "unknown";
}

/** The eight groups of a canonical IPv6 address. */
function groupsOf(address: string): string[] {
  const [head = "", tail] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  return tail === undefined
    ? left
    : [...left, ...Array<string>(8 - left.length - right.length).fill("0"), ...right];
}

function parseIpv4(value: string): string | null {
  const parts = value.split(".");
  // No leading zeros: some parsers read them as octal, and one address must have one spelling.
  const valid = parts.length === 4 &&
    parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
  return valid ? value : null;
}

function parseIpv6(value: string): string | null {
  if (!/^[0-9a-f:.]+$/i.test(value) || !value.includes(":")) return null;
  const url = `http://[${value}]/`;
  if (!URL.canParse(url)) return null;
  // The URL parser writes the canonical, compressed form.
  const canonical = new URL(url).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (mapped === null) return canonical;
  const [high, low] = [parseInt(mapped[1] ?? "", 16), parseInt(mapped[2] ?? "", 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
