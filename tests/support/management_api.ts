/** A stand-in for Supabase's management API that records what the official CLI uploads and sets. */

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
