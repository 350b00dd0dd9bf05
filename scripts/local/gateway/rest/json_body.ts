import { RestError } from "./errors.ts";

/** Parses a JSON body, or answers as PostgREST does. */
export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new RestError(400, "PGRST102", "Empty or invalid json");
  }
}
