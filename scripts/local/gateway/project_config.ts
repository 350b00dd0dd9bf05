/** What the project's own configuration decides about the API, so that the offline stack behaves as the hosted one. */
export interface ProjectConfig {
  /** Rows that one answer of the REST layer holds at most; the rest is cut without an error. */
  maxRows: number;
  /** Schemas that the REST layer shows; the first is the one of requests that name none. */
  schemas: string[];
  /** Whether Auth believes an address only after its mail was opened. */
  confirmations: boolean;
}

type Settings = Map<string, string | number | boolean | string[]>;

/** Reads `supabase/config.toml`; `path` names another file. */
export async function readProjectConfig(path: string): Promise<ProjectConfig> {
  const settings = parseSettings(await Deno.readTextFile(path));
  const maxRows = settings.get("api.max_rows");
  if (typeof maxRows !== "number" || maxRows < 1) {
    throw new Error(`${path} must say max_rows in [api], a number of rows`);
  }
  const schemas = settings.get("api.schemas");
  if (!Array.isArray(schemas) || schemas.length === 0) {
    throw new Error(`${path} must say schemas in [api], a list of names on one line`);
  }
  return { maxRows, schemas, confirmations: settings.get("auth.email.enable_confirmations") === true };
}

/**
 * The strings, numbers, booleans and one-line lists of strings of a TOML file by their full names, `api.max_rows`;
 * other values are left out.
 */
function parseSettings(toml: string): Settings {
  const settings: Settings = new Map();
  let section = "";
  for (const line of toml.split("\n")) {
    const header = /^\s*\[([^[\]]+)\]\s*(?:#.*)?$/.exec(line)?.[1];
    if (header !== undefined) section = `${header.trim()}.`;
    const list = /^\s*([\w-]+)\s*=\s*\[([^\]]*)\]\s*(?:#.*)?$/.exec(line);
    if (list !== null) {
      settings.set(
        section + list[1],
        [...(list[2] ?? "").matchAll(/"([^"]*)"/g)].map(([, item = ""]) => item),
      );
    }
    const pair = /^\s*([\w-]+)\s*=\s*(?:"([^"]*)"|(\d[\d_]*)|(true|false))\s*(?:#.*)?$/.exec(line);
    if (pair === null) continue;
    const [, name = "", text, digits, word] = pair;
    const value = text ?? (digits === undefined ? word === "true" : Number(digits.replaceAll("_", "")));
    settings.set(section + name, value);
  }
  return settings;
}
