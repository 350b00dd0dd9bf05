import { RestError, unsupported } from "./errors.ts";

/** What the request's `Prefer` and `Accept` headers ask for. */
export interface Preferences {
  returned: "minimal" | "representation" | "headers-only";
  count: boolean;
  resolution: "merge-duplicates" | "ignore-duplicates" | null;
  single: boolean;
  /** The schema that the request speaks of. */
  schema: string;
}

/**
 * Reads `Prefer`, `Accept` and the profile header, which is `Accept-Profile` for reads and `Content-Profile` for the
 * rest; refuses schemas that are not exposed, and what the offline layer does not have.
 */
export function readPreferences({ headers, method }: Request, exposed: readonly string[]): Preferences {
  const prefer = new Map(
    (headers.get("prefer") ?? "").split(",").map((part) => {
      const [name = "", value = ""] = part.trim().split("=");
      return [name, value];
    }),
  );
  const reading = method === "GET" || method === "HEAD";
  const schema = headers.get(reading ? "accept-profile" : "content-profile") ?? exposed[0] ?? "";
  if (!exposed.includes(schema)) {
    throw new RestError(
      406,
      "PGRST106",
      `Invalid schema: ${schema}`,
      null,
      `Only the following schemas are exposed: ${exposed.join(", ")}`,
    );
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
    schema,
  };
}

function acceptsObject(accept: string): boolean {
  if (accept.includes("nulls=stripped")) throw unsupported("Accept with nulls=stripped");
  if (accept.includes("application/vnd.pgrst.object")) return true;
  if (/application\/json|\*\/\*|application\/\*|vnd\.pgrst\.array/.test(accept)) return false;
  throw unsupported(`Accept: ${accept}`);
}
