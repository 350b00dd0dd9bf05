/** Media types that a request accepts, and the one that answers it. */
import { RestError } from "./errors.ts";

/** How rows become a body. */
export type Format = "json" | "single" | "csv" | "geojson";

/** The representation of an answer. */
export interface Representation {
  format: Format;
  stripNulls: boolean;
  contentType: string;
}

const UTF8 = "; charset=utf-8";
const json: Representation = {
  format: "json",
  stripNulls: false,
  contentType: `application/json${UTF8}`,
};

/** The names by which PostgREST knows a media type; what is in `Accept` beside them does not count. */
export function mediaType(value: string): string {
  const [name = "", ...parameters] = value.split(";");
  if (/^application\/vnd\.pgrst\.plan(\+text|\+json)?$/.test(name)) return planType(name, parameters);
  if (/^application\/vnd\.pgrst\.(object|array)(\+json)?$/.test(name)) {
    const stripped = parameters.length === 1 && parameters[0] === "nulls=stripped" ? ";nulls=stripped" : "";
    if (name.includes(".object")) return `application/vnd.pgrst.object+json${stripped}`;
    return stripped === "" ? "application/json" : `application/vnd.pgrst.array+json${stripped}`;
  }
  return name;
}

function planType(name: string, parameters: string[]): string {
  const asked = parameters.find((part) => part.startsWith("for="))?.slice("for=".length) ??
    "application/json";
  const options = parameters.find((part) => part.startsWith("options="));
  const known = ["analyze", "verbose", "settings", "buffers", "wal"];
  const listed = options?.slice("options=".length).split("|") ?? [];
  const wanted = known.filter((option) => listed.includes(option));
  return `application/vnd.pgrst.plan+${name.endsWith("+json") ? "json" : "text"}; for="${
    mediaType(asked.replace(/^"+|"+$/g, ""))
  }"${wanted.length === 0 ? "" : `; options=${wanted.join("|")}`}`;
}

/** The media types of an `Accept` header, the most wanted first. */
export function acceptedTypes(header: string | null): string[] {
  if (header === null) return ["*/*"];
  return header.split(",").map((part) => {
    const [name = "", quality] = part.replaceAll(" ", "").split(";q=");
    const weight = quality === undefined ? 1 : Number(quality.split(";")[0]);
    const specific = name.split(";").length - name.split("*").length;
    return { name, weight: Number.isNaN(weight) ? 1 : weight, specific };
  }).sort((one, other) => other.weight - one.weight || other.specific - one.specific)
    .map(({ name }) => mediaType(name));
}

/** The first of the accepted types that there is. Throws when there is none. */
export function chooseRepresentation(accepted: string[]): Representation {
  for (const type of accepted) {
    const found = representationOf(type);
    if (found !== null) return found;
  }
  const message = `None of these media types are available: ${accepted.join(", ")}`;
  throw new RestError(415, "PGRST107", message);
}

function representationOf(type: string): Representation | null {
  const stripNulls = type.endsWith(";nulls=stripped");
  if (type === "*/*" || type === "application/json") return json;
  if (type === "text/csv") return { format: "csv", stripNulls, contentType: type + UTF8 };
  if (type === "application/geo+json") return { format: "geojson", stripNulls, contentType: type + UTF8 };
  if (type.startsWith("application/vnd.pgrst.object+json")) {
    return { format: "single", stripNulls, contentType: type + UTF8 };
  }
  if (stripNulls) return { format: "json", stripNulls, contentType: type + UTF8 };
  return null;
}
