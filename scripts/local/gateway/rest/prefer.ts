import { RestError, unsupported } from "./errors.ts";

/** What the request's `Prefer` and `Accept` headers ask for. */
export interface Preferences {
  returned: "minimal" | "representation" | "headers-only";
  count: boolean;
  resolution: "merge-duplicates" | "ignore-duplicates" | null;
  single: boolean;
}

/** Reads `Prefer`, `Accept` and the profile headers; refuses what the offline layer does not have. */
export function readPreferences(headers: Headers): Preferences {
  const prefer = new Map(
    (headers.get("prefer") ?? "").split(",").map((part) => {
      const [name = "", value = ""] = part.trim().split("=");
      return [name, value];
    }),
  );
  for (const profile of ["accept-profile", "content-profile"]) {
    const schema = headers.get(profile);
    if (schema !== null && schema !== "public") {
      throw new RestError(
        406,
        "PGRST106",
        `Invalid schema: ${schema}`,
        null,
        "Only the following schemas are exposed: public",
      );
    }
  }
  const count = prefer.get("count");
  if (count !== undefined && count !== "exact") throw unsupported(`Prefer: count=${count}`);
  if (prefer.get("missing") === "default") throw unsupported("Prefer: missing=default");
  if (prefer.has("max-affected")) throw unsupported("Prefer: max-affected");
  if (prefer.get("tx") === "rollback") throw unsupported("Prefer: tx=rollback");
  const returned = prefer.get("return");
  const resolution = prefer.get("resolution");
  return {
    returned: returned === "representation" || returned === "headers-only" ? returned : "minimal",
    count: count === "exact",
    resolution: resolution === "merge-duplicates" || resolution === "ignore-duplicates" ? resolution : null,
    single: acceptsObject(headers.get("accept") ?? "*/*"),
  };
}

function acceptsObject(accept: string): boolean {
  if (accept.includes("nulls=stripped")) throw unsupported("Accept with nulls=stripped");
  if (accept.includes("application/vnd.pgrst.object")) return true;
  if (/application\/json|\*\/\*|application\/\*|vnd\.pgrst\.array/.test(accept)) return false;
  throw unsupported(`Accept: ${accept}`);
}
