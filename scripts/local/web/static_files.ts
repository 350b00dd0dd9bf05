import { stripTypeScriptTypes } from "node:module";
import { fileResponse } from "./responses.ts";

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml; charset=utf-8",
};

/**
 * Serves one file of `folder`, or null when there is none. Names are slash-separated words, so a path cannot
 * climb out of the folder. Files are read on each request: an edit shows at the next reload.
 */
export async function staticFile(folder: URL, name: string): Promise<Response | null> {
  const match = /^(?:[a-z0-9_-]+\/)*[a-z0-9_-]+\.([a-z]+)$/.exec(name);
  const type = match?.[1] === undefined ? undefined : MEDIA_TYPES[match[1]];
  if (type === undefined) return null;
  try {
    return fileResponse(await Deno.readFile(new URL(name, folder)), type);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** A TypeScript module without imports, as browsers run it. */
export async function browserModule(file: URL): Promise<Response> {
  return fileResponse(stripTypeScriptTypes(await Deno.readTextFile(file)), "text/javascript; charset=utf-8");
}
