/**
 * `deno task console`: the console against a project, on this machine. Who works in it signs in with an account of
 * theirs: no key that lets anybody in without one is read here, let alone handed to the browser.
 */
import { CONSOLE_PATH, consoleSite } from "../lib/console/site.ts";
import { TaskError } from "../lib/errors.ts";
import { runTask, wholeNumber } from "../lib/task.ts";
import { findSource, type Source } from "./doctor/subject.ts";

const usage = `deno task console [--env .env] [--port 54380]

  --env    the project of this file, which needs SUPABASE_URL and SUPABASE_PUBLISHABLE_KEYS; else what
           deno task doctor would look at
  --port   where it listens on 127.0.0.1; 0 takes a free one

  Sign in as a member of staff (app_metadata.role is admin). Ctrl-C ends it.`;

const flags = { env: { type: "string" }, port: { type: "string", default: "54380" } } as const;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      run: ({ values: { env, port } }) => main(env ?? null, wholeNumber("--port", port, 0)),
    }, Deno.args),
  );
}

async function main(envFile: string | null, port: number): Promise<number> {
  const source = await findSource(envFile, Deno.env.toObject());
  const site = consoleSite(publicSettings(source));
  const server = listen(port, async (request) => {
    const url = new URL(request.url);
    // Another site's name may be pointed here, and a console opened under it would be in reach of that site's pages.
    if (url.hostname !== "127.0.0.1" && url.hostname !== "localhost") {
      return new Response("Only on this machine: ask for 127.0.0.1 or localhost.\n", { status: 403 });
    }
    if (url.pathname === "/") return Response.redirect(new URL(CONSOLE_PATH, url));
    const inside = url.pathname === CONSOLE_PATH || url.pathname.startsWith(`${CONSOLE_PATH}/`);
    const answer = inside ? await site(url) : null;
    return answer ?? new Response("There is nothing here.\n", { status: 404 });
  });
  console.log(`The console of ${source.name}: http://127.0.0.1:${server.addr.port}${CONSOLE_PATH}`);
  Deno.addSignalListener("SIGINT", () => server.shutdown());
  Deno.addSignalListener("SIGTERM", () => server.shutdown());
  await server.finished;
  return 0;
}

function listen(port: number, handle: (request: Request) => Promise<Response>) {
  try {
    return Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, handle);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new TaskError(`Port ${port} is in use: name another one with --port`);
  }
}

/**
 * What the browser may know of a project: its address and a publishable key.
 * @throws TaskError that names what is missing.
 */
export function publicSettings({ name, values }: Pick<Source, "name" | "values">) {
  const apiUrl = values["SUPABASE_URL"]?.trim().replace(/\/+$/, "") ?? "";
  if (!URL.canParse(apiUrl)) {
    throw new TaskError(`${name} has no SUPABASE_URL: copy it from the dashboard, Connect`);
  }
  const publishableKey = firstKey(values["SUPABASE_PUBLISHABLE_KEYS"] ?? "");
  if (publishableKey === null) {
    throw new TaskError(
      `${name} has no SUPABASE_PUBLISHABLE_KEYS, like {"default":"sb_publishable_…"}: copy the publishable key from ` +
        "the dashboard, Settings, API Keys",
    );
  }
  return { apiUrl, publishableKey };
}

/** The first key of Supabase's dictionary, if it is one that a browser may have. */
function firstKey(text: string): string | null {
  try {
    const keys: unknown = JSON.parse(text);
    const values = typeof keys === "object" && keys !== null ? Object.values(keys) : [];
    return values.find((key) => typeof key === "string" && key.startsWith("sb_publishable_")) ?? null;
  } catch {
    // No dictionary: the message is the same as for none at all.
    return null;
  }
}
