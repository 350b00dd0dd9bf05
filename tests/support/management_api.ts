/** A stand-in for Supabase's management API that records what the official CLI uploads and sets. */
import { parseEnv } from "node:util";
import type { SupabaseCli } from "../../scripts/live/setup/supabase.ts";

/** What one `functions deploy` sent for one function. */
export interface Upload {
  slug: string;
  metadata: { entrypoint_path: string; import_map_path?: string; verify_jwt: boolean; name: string };
  /** Path in the project → text. */
  files: Map<string, string>;
}

/** A running recorder. */
export interface ManagementApi extends AsyncDisposable {
  uploads: Upload[];
  /** Bodies of the call that makes the uploaded functions live. */
  released: { slug: string; verify_jwt: boolean }[];
  /** Values of the project's secrets; like Supabase it shows their digests only. */
  secrets: Map<string, string>;
  /** The project's secret keys. */
  keys: { id: string; name: string; type: "secret"; api_key: string }[];
  /** The schemas of the project's API, as `db_schema` has them. */
  exposed: { schemas: string };
  /** Statements that came by `db query`. */
  queries: string[];
  /** Calls that change something. */
  writes: string[];
  /** A CLI profile that points to the recorder, to be passed with `--profile`. */
  profile: string;
}

/** Starts the recorder on a free port. */
export async function startManagementApi(): Promise<ManagementApi> {
  const uploads: Upload[] = [];
  const released: ManagementApi["released"] = [];
  const secrets: ManagementApi["secrets"] = new Map();
  const keys: ManagementApi["keys"] = [];
  const exposed = { schemas: "public, graphql_public" };
  const queries: string[] = [];
  const writes: string[] = [];
  const server = Deno.serve({ hostname: "localhost", port: 0, onListen: () => {} }, async (request) => {
    const url = new URL(request.url);
    if (request.method !== "GET") writes.push(`${request.method} ${url.pathname}`);
    if (request.method === "POST" && url.pathname.endsWith("/functions/deploy")) {
      const upload = await readUpload(url.searchParams.get("slug") ?? "", await request.formData());
      uploads.push(upload);
      return Response.json(deployed(upload.slug), { status: 201 });
    }
    if (request.method === "PUT" && url.pathname.endsWith("/functions")) {
      const functions = await request.json();
      released.push(...functions);
      return Response.json({ functions });
    }
    if (url.pathname.endsWith("/secrets")) {
      if (request.method === "GET") return Response.json(await digests(secrets));
      if (request.method === "DELETE") { for (const name of await request.json()) secrets.delete(name); }
      else for (const { name, value } of await request.json()) secrets.set(name, value);
      return new Response(null, { status: 201 });
    }
    if (/\/api-keys(\/|$)/.test(url.pathname)) return await answerKeys(request, url, keys);
    if (url.pathname.endsWith("/postgrest")) {
      if (request.method === "PATCH") exposed.schemas = (await request.json()).db_schema;
      return Response.json({ db_schema: exposed.schemas, max_rows: 1000 });
    }
    if (request.method === "POST" && url.pathname.endsWith("/database/query")) {
      queries.push((await request.json()).query);
      return Response.json([], { status: 201 });
    }
    return request.method === "GET" ? Response.json([]) : new Response(null, { status: 404 });
  });
  const address = `http://localhost:${server.addr.port}`;
  const profile = await Deno.makeTempFile({ suffix: ".yaml" });
  const entries = {
    name: "recorder",
    api_url: address,
    dashboard_url: address,
    docs_url: address,
    project_host: "localhost",
  };
  await Deno.writeTextFile(
    profile,
    Object.entries(entries).map(([key, value]) => `${key}: ${value}\n`).join(""),
  );
  return {
    uploads,
    released,
    secrets,
    keys,
    exposed,
    queries,
    writes,
    profile,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await Deno.remove(profile);
    },
  };
}

/** The two commands of the Supabase CLI that a rotation needs, without the second that each start of it takes. */
export function cliOf({ secrets }: ManagementApi): SupabaseCli {
  return async ([, command, ...args]) => {
    if (command === "list") {
      return { success: true, stdout: JSON.stringify(await digests(secrets)), stderr: "" };
    }
    if (command !== "set") throw new Error(`no stand-in for ${command}`);
    const text = await Deno.readTextFile(args[args.indexOf("--env-file") + 1] ?? "");
    for (const [name, value] of Object.entries(parseEnv(text))) secrets.set(name, value ?? "");
    return { success: true, stdout: "", stderr: "" };
  };
}

/** Creates, lists and deletes secret keys; what a key is it says only where asked to (`reveal=true`). */
async function answerKeys(request: Request, url: URL, keys: ManagementApi["keys"]): Promise<Response> {
  const shown = (key: ManagementApi["keys"][number]) =>
    url.searchParams.get("reveal") === "true" ? key : { ...key, api_key: `${key.api_key.slice(0, 12)}…` };
  if (request.method === "GET") return Response.json(keys.map(shown));
  if (request.method === "DELETE") {
    const at = keys.findIndex(({ id }) => url.pathname.endsWith(`/${id}`));
    if (at < 0) return Response.json({ message: "API key not found" }, { status: 404 });
    return Response.json(keys.splice(at, 1)[0]);
  }
  const { name, type, secret_jwt_template: template } = await request.json();
  if (!/^[a-z_][a-z0-9_]{3,63}$/.test(name) || type !== "secret" || template?.role !== "service_role") {
    return Response.json({ message: "Invalid key" }, { status: 400 });
  }
  const key = {
    id: crypto.randomUUID(),
    name,
    type,
    api_key: `sb_secret_${crypto.randomUUID().replaceAll("-", "")}`,
  };
  keys.push(key);
  return Response.json(shown(key), { status: 201 });
}

async function digests(secrets: Map<string, string>): Promise<{ name: string; value: string }[]> {
  return await Promise.all([...secrets].map(async ([name, value]) => {
    const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(value)));
    return { name, value: [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
  }));
}

async function readUpload(slug: string, form: FormData): Promise<Upload> {
  const files = new Map<string, string>();
  for (const file of form.getAll("file")) if (file instanceof File) files.set(file.name, await file.text());
  const metadata = form.get("metadata");
  return {
    slug,
    metadata: JSON.parse(typeof metadata === "string" ? metadata : await metadata?.text() ?? "{}"),
    files,
  };
}

function deployed(slug: string) {
  const now = Date.now();
  return {
    id: crypto.randomUUID(),
    slug,
    name: slug,
    status: "ACTIVE",
    version: 1,
    verify_jwt: false,
    created_at: now,
    updated_at: now,
    entrypoint_path: `supabase/functions/${slug}/index.ts`,
    import_map: true,
    ezbr_sha256: "0".repeat(64),
  };
}
