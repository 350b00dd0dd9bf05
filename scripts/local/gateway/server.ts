/** The API gateway of the offline stack: functions, REST and Auth behind one port, as on a Supabase project. */
import postgres from "postgres";
import { LOCAL_HOST } from "../ports.ts";
import { createAuth, isOpenAuthPath } from "./auth/handler.ts";
import { identify, Unidentified } from "./caller.ts";
import { createFunctionsHost } from "./functions_host.ts";
import type { LocalKeys } from "./keys.ts";
import type { ProjectConfig } from "./project_config.ts";
import { createRest } from "./rest/handler.ts";
import { WARM_UP_PATH } from "./warm_up.ts";

/** Options of {@linkcode startGateway}. */
export interface GatewayOptions {
  /** 0 takes any free port. */
  port: number;
  /** Connection string of the database; the user in it is replaced by the API's own. */
  dbUrl: string;
  functionsDir: string;
  keys: LocalKeys;
  config: ProjectConfig;
  log: (line: string) => void;
}

/** A running gateway. */
export interface Gateway {
  url: string;
  port: number;
  stop(): Promise<void>;
}

const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS",
  "access-control-expose-headers": "content-range,content-location,x-request-id,location",
  "access-control-max-age": "3600",
};

/** Connections that PostgREST keeps on a small hosted project. */
const REST_CONNECTIONS = 20;

/** Starts the gateway on 127.0.0.1. */
export function startGateway(options: GatewayOptions): Gateway {
  const { keys, log } = options;
  const restPool = pool(options.dbUrl, "authenticator", REST_CONNECTIONS);
  const authPool = pool(options.dbUrl, "supabase_auth_admin", 4);
  const rest = createRest(restPool, options.config.maxRows);
  const auth = createAuth(authPool, keys);
  const functions = createFunctionsHost(options.functionsDir, log);

  const route = async (request: Request, peer: string): Promise<Response> => {
    const path = new URL(request.url).pathname;
    const [, service = "", version, ...tail] = path.split("/");
    if (version === "v1" && service === "functions") {
      const [name = "", ...rest] = tail;
      return await functions.call(request, name, rest.length === 0 ? "" : `/${rest.join("/")}`, peer);
    }
    if (version === "v1" && (service === "rest" || service === "auth")) {
      if (request.method === "OPTIONS") return preflight(request);
      const response = service === "rest"
        ? await rest(request, tail.join("/"), await identify(request, keys))
        : await signed(request, tail.join("/"));
      for (const [name, value] of Object.entries(CORS)) response.headers.set(name, value);
      return response;
    }
    if (path === WARM_UP_PATH && request.method === "POST") {
      const { role } = await identify(request, keys);
      if (role !== "service_role") {
        return Response.json({ message: "The secret key is needed" }, { status: 403 });
      }
      await functions.warmUp();
      return new Response(null, { status: 204 });
    }
    if (path === "/") return Response.json({ services: ["/functions/v1", "/rest/v1", "/auth/v1"] });
    if (version === "v1" && ["storage", "realtime", "graphql"].includes(service)) {
      return Response.json({ message: `The offline stack does not support ${service}` }, { status: 501 });
    }
    return Response.json({ message: "no Route matched with those values" }, { status: 404 });
  };

  const signed = async (request: Request, path: string): Promise<Response> => {
    if (!isOpenAuthPath(path)) {
      const key = request.headers.get("apikey") ?? new URL(request.url).searchParams.get("apikey") ?? "";
      if (keys.roleOf(key) === null) {
        const message = key === "" ? "No API key found in request" : "Invalid API key";
        return Response.json({ message }, { status: 401 });
      }
    }
    return await auth(request, path);
  };

  const server = Deno.serve(
    { hostname: LOCAL_HOST, port: options.port, onListen: () => {} },
    async (request, info) => {
      try {
        return await route(request, info.remoteAddr.hostname);
      } catch (error) {
        if (error instanceof Unidentified) return withCors(error.response);
        log(
          `${request.method} ${new URL(request.url).pathname}: ${
            error instanceof Error ? error.stack : error
          }`,
        );
        return Response.json({ message: "An unexpected error occurred" }, { status: 500 });
      }
    },
  );
  return {
    url: `http://${LOCAL_HOST}:${server.addr.port}`,
    port: server.addr.port,
    stop: async () => {
      await server.shutdown();
      await Promise.all([restPool.end({ timeout: 2 }), authPool.end({ timeout: 2 })]);
    },
  };
}

/** Both pools wait for the database to come back rather than fail for good. */
function pool(dbUrl: string, user: string, max: number): postgres.Sql {
  return postgres(dbUrl, {
    user,
    password: "postgres",
    max,
    fetch_types: false,
    connect_timeout: 5,
    // A server that was killed is back within a second; waiting longer each time would outlast that.
    backoff: () => 0.1,
    onnotice: () => {},
    connection: { application_name: user, search_path: "public, extensions" },
  });
}

function preflight(request: Request): Response {
  const allowed = request.headers.get("access-control-request-headers") ??
    "authorization, apikey, content-type";
  return new Response(null, { status: 204, headers: { ...CORS, "access-control-allow-headers": allowed } });
}

function withCors(response: Response): Response {
  for (const [name, value] of Object.entries(CORS)) response.headers.set(name, value);
  return response;
}
