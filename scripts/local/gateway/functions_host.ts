/** Hosts the Edge Functions as Supabase does: unmodified files, each behind `/functions/v1/<name>`. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** The functions of a project. */
export interface FunctionsHost {
  /** Calls a function; `name` is its folder, `rest` the path behind it, `peer` the caller's address. */
  call(request: Request, name: string, rest: string, peer: string): Promise<Response>;
  /** Loads every function, so that no request pays for it and what fails to start is seen at once. */
  warmUp(): Promise<void>;
}

type Fetch = (request: Request) => Response | Promise<Response>;

/** Creates a host for the functions in `dir`; what goes wrong in them is written with `log`. */
export function createFunctionsHost(dir: string, log: (line: string) => void): FunctionsHost {
  const loaded = new Map<string, Promise<Fetch>>();
  const load = (name: string): Promise<Fetch> => {
    let entry = loaded.get(name);
    if (entry === undefined) {
      loaded.set(name, entry = importFunction(dir, name));
      entry.catch((error) =>
        log(`function ${name} failed to start: ${error instanceof Error ? error.message : error}`)
      );
    }
    return entry;
  };
  const warmUp = async () => {
    for (const name of await functionNames(dir)) await load(name).catch(() => {});
  };
  const call = async (request: Request, name: string, rest: string, peer: string): Promise<Response> => {
    if (!(await isFunction(dir, name))) {
      return Response.json({ code: "NOT_FOUND", message: "Requested function was not found" }, {
        status: 404,
      });
    }
    let handler: Fetch;
    try {
      handler = await load(name);
    } catch {
      return Response.json(
        { code: "BOOT_ERROR", message: "Function failed to start (please check logs)" },
        { status: 503 },
      );
    }
    try {
      return await handler(behindEdge(request, name, rest, peer));
    } catch (error) {
      log(`function ${name} threw: ${error instanceof Error ? error.stack : error}`);
      return Response.json({
        code: "WORKER_ERROR",
        message: "Function exited due to an error (please check logs)",
      }, {
        status: 500,
      });
    }
  };
  return { call, warmUp };
}

/** Names of the functions in `dir`. */
async function functionNames(dir: string): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(dir)) {
    if (entry.isDirectory && await isFunction(dir, entry.name)) names.push(entry.name);
  }
  return names.sort();
}

async function isFunction(dir: string, name: string): Promise<boolean> {
  if (!/^[a-zA-Z][\w-]*$/.test(name)) return false;
  return await Deno.stat(join(dir, name, "index.ts")).then((info) => info.isFile, () => false);
}

async function importFunction(dir: string, name: string): Promise<Fetch> {
  const module = await import(pathToFileURL(join(dir, name, "index.ts")).href);
  const handler = module.default?.fetch;
  if (typeof handler !== "function") throw new Error(`${name}/index.ts does not 'export default { fetch }'`);
  return (request) => handler.call(module.default, request);
}

/** Rewrites what the proxies in front of a hosted function write: the path, and where the caller comes from. */
function behindEdge(request: Request, name: string, rest: string, peer: string): Request {
  const url = new URL(request.url);
  url.pathname = `/${name}${rest}`;
  const headers = new Headers(request.headers);
  const forwarded = headers.get("x-forwarded-for");
  headers.set("x-forwarded-for", forwarded === null ? peer : `${forwarded}, ${peer}`);
  headers.set("cf-connecting-ip", peer);
  headers.set("x-real-ip", peer);
  headers.set("x-forwarded-proto", "http");
  return new Request(url, { method: request.method, headers, body: request.body });
}
