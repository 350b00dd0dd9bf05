/**
 * The console as files: one document, its modules and what they use of npm, served from this machine. Whoever is signed
 * in reads and commands over the project's API; nothing of the shop passes through here.
 */
import { createRequire, stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { ROOT } from "../paths.ts";

/** What the page is told of the project. All of it is public. */
export interface ConsoleSettings {
  apiUrl: string;
  publishableKey: string;
  /** Who may sign in with one click; offline only. */
  demo?: { email: string; password: string };
}

/** Where the site lives, on whatever server. */
export const CONSOLE_PATH = "/console";

const FOLDER = new URL("./", import.meta.url);

/** What modules import by other names than `./…`: its file, and the name that it has here. */
const PLACES: Readonly<Record<string, string>> = {
  "preact": "packages/preact.js",
  "preact/hooks": "packages/preact-hooks.js",
  "uplot": "packages/uplot.js",
  "../../../../supabase/functions/_shared/stripe/money.ts": "shared/money.ts",
};

/** Files of packages, as `require` finds them. */
const PACKAGES: Readonly<Record<string, string>> = {
  "preact.js": "preact",
  "preact-hooks.js": "preact/hooks",
  "uplot.js": "uplot/dist/uPlot.esm.js",
  "uplot.css": "uplot/dist/uPlot.min.css",
  "supabase.js": "@supabase/supabase-js/dist/umd/supabase.js",
};

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  json: "application/json; charset=utf-8",
  md: "text/plain; charset=utf-8",
  svg: "image/svg+xml; charset=utf-8",
};

/** Answers what lies under {@linkcode CONSOLE_PATH}, or null where nothing is there. */
export function consoleSite(settings: ConsoleSettings): (url: URL) => Promise<Response | null> {
  const told = JSON.stringify({
    api_url: settings.apiUrl,
    publishable_key: settings.publishableKey,
    demo: settings.demo ?? null,
  });
  const policy = pagePolicy(new URL(settings.apiUrl).origin);
  return async (url) => {
    const name = url.pathname.slice(CONSOLE_PATH.length).replace(/^\//, "");
    if (name === "settings.json") return served(told, "json", policy);
    const body = await bodyOf(name === "" ? "index.html" : name);
    return body === null ? null : served(body, typeOf(name === "" ? "index.html" : name), policy);
  };
}

/** Scripts, styles and data of this origin, and the project's API; nothing inline, no form that leaves the page. */
function pagePolicy(api: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    `connect-src 'self' ${api}`,
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}

function served(body: string, type: string, policy: string): Response {
  return new Response(body, {
    headers: {
      "cache-control": "no-store",
      "content-security-policy": policy,
      "content-type": MEDIA_TYPES[type] ?? "text/plain; charset=utf-8",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
    },
  });
}

function typeOf(name: string): string {
  const ending = name.split(".").at(-1) ?? "";
  return ending === "ts" ? "js" : ending;
}

async function bodyOf(name: string): Promise<string | null> {
  if (name === "runbook.md") return await Deno.readTextFile(join(ROOT, "docs/runbook.md"));
  if (name === "shared/money.ts") {
    return asModule(await Deno.readTextFile(join(ROOT, "supabase/functions/_shared/stripe/money.ts")));
  }
  if (name.startsWith("packages/")) return await packageFile(name.slice("packages/".length));
  // Slash-separated words: a path cannot climb out of the folder.
  if (!/^(?:index\.html|console\.css|icon\.svg|app\/(?:pages\/)?[a-z_]+\.ts)$/.test(name)) return null;
  try {
    const text = await Deno.readTextFile(new URL(name, FOLDER));
    return name.endsWith(".ts") ? asModule(text) : text;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function packageFile(name: string): Promise<string | null> {
  const specifier = Object.hasOwn(PACKAGES, name) ? PACKAGES[name] : undefined;
  if (specifier === undefined) return null;
  const text = await Deno.readTextFile(createRequire(import.meta.url).resolve(specifier));
  return name.endsWith(".css") ? text : withPlaces(text);
}

/** TypeScript as browsers run it. */
function asModule(text: string): string {
  return withPlaces(stripTypeScriptTypes(text));
}

/** Has imports name the place here. Browsers know neither packages nor folders that are not served. */
function withPlaces(text: string): string {
  return text.replaceAll(/\bfrom\s*"([^"]+)"/g, (found, specifier) => {
    const place = Object.hasOwn(PLACES, specifier) ? PLACES[specifier] : undefined;
    return place === undefined ? found : `from "${CONSOLE_PATH}/${place}"`;
  });
}
