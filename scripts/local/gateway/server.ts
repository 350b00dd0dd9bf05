/** The API gateway of the offline stack: functions, REST and Auth behind one port, as on a Supabase project. */
import postgres from "postgres";
import { LOCAL_HOST } from "../../lib/ports.ts";
import { namesThisMachine } from "../../stand-in/http/strangers.ts";
import { createAuth, isOpenAuthPath } from "./auth/handler.ts";
import type { SendMail } from "./auth/mails.ts";
import { identify, Unidentified } from "./caller.ts";
import { preflight, withCors } from "./cors.ts";
import { createFunctionsHost } from "./functions_host.ts";
import type { LocalKeys } from "./keys.ts";
import { REST_CONNECTIONS } from "../postgrest.ts";
import type { ProjectConfig } from "./project_config.ts";
import { isUpgrade, refuseRealtime, upgradeToRefusal } from "./realtime.ts";
import { createRest } from "./rest/handler.ts";
import { createRestProxy } from "./rest/proxy.ts";
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
  /** Where a real PostgREST answers, if it shall, instead of the layer that stands in for it. */
  postgrestUrl?: string;
  /** Connections of the REST API to the database; those of a small hosted project where none is given. */
  restConnections?: number;
  /** How Auth sends its mails, and where their links may lead. */
  mail: { send: SendMail; siteUrl: string; redirectOrigins: readonly string[] };
  log: (line: string) => void;
}

/** A running gateway. */
export interface Gateway {
  url: string;
  port: number;
  stop(): Promise<void>;
}

/** Services of a project that the offline stack has not. */
const UNSUPPORTED = ["storage", "graphql"];

/** Starts the gateway on 127.0.0.1. */
export function startGateway(options: GatewayOptions): Gateway {
  const { keys, log } = options;
  const restPool = pool(options.dbUrl, "authenticator", options.restConnections ?? REST_CONNECTIONS);
  const authPool = pool(options.dbUrl, "supabase_auth_admin", 4);
  const standIn = createRest(restPool, options.config);
  const real = options.postgrestUrl === undefined ? null : createRestProxy(options.postgrestUrl, keys);
  const rest = async (request: Request, path: string): Promise<Response> => {
    const bare = withoutKey(request);
    return real === null ? await standIn(bare, path, await identify(request, keys)) : await real(bare, path);
  };
  const { send, siteUrl, redirectOrigins } = options.mail;
  const auth = createAuth({
    sql: authPool,
    keys,
    sendMail: send,
    settings: {
      confirmations: options.config.confirmations,
      url: () => `http://${LOCAL_HOST}:${server.addr.port}/auth/v1`,
      siteUrl,
      redirectOrigins,
    },
  });
  const functions = createFunctionsHost(options.functionsDir, log);

  const route = async (request: Request, peer: string): Promise<Response> => {
    // Pages of any origin may call, as on a hosted project: what they may do is a matter of keys and ALLOWED_ORIGINS.
    if (!namesThisMachine(request)) {
      return Response.json({ message: "Only on this machine: ask for 127.0.0.1 or localhost" }, {
        status: 403,
      });
    }
    const path = new URL(request.url).pathname;
    const [, service = "", version, ...tail] = path.split("/");
    if (version === "v1" && service === "functions") {
      const [name = "", ...rest] = tail;
      return await functions.call(request, name, rest.length === 0 ? "" : `/${rest.join("/")}`, peer);
    }
    if (request.method === "OPTIONS") return preflight(request, service);
    // What opens a socket is handed back as it is.
    if (version === "v1" && service === "realtime" && isUpgrade(request)) return upgradeToRefusal(request);
    return withCors(await answer(request, path, version === "v1" ? service : "", tail.join("/")));
  };

  /** Answers what a browser may read whatever comes of it. */
  const answer = async (request: Request, path: string, service: string, tail: string): Promise<Response> => {
    try {
      if (service === "rest") return await rest(request, tail);
      if (service === "auth") return await signed(request, tail);
      if (path === WARM_UP_PATH && request.method === "POST") return await warmUp(request);
    } catch (error) {
      return failed(error, request);
    }
    if (path === "/") return Response.json({ services: ["/functions/v1", "/rest/v1", "/auth/v1"] });
    if (service === "realtime") return refuseRealtime();
    if (UNSUPPORTED.includes(service)) {
      return Response.json({ message: `The offline stack does not support ${service}` }, { status: 501 });
    }
    return Response.json({ message: "no Route matched with those values" }, { status: 404 });
  };

  const warmUp = async (request: Request): Promise<Response> => {
    const { role } = await identify(request, keys);
    if (role !== "service_role") {
      return Response.json({ message: "The secret key is needed" }, { status: 403 });
    }
    await functions.warmUp();
    return new Response(null, { status: 204 });
  };

  const failed = (error: unknown, request: Request): Response => {
    if (error instanceof Unidentified) return error.response;
    const text = error instanceof Error ? error.stack : error;
    log(`${request.method} ${new URL(request.url).pathname}: ${text}`);
    return Response.json({ message: "An unexpected error occurred" }, { status: 500 });
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
        return withCors(failed(error, request));
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

/** The key may stand in the address as well; it is no part of the query. */
function withoutKey(request: Request): Request {
  const url = new URL(request.url);
  if (!url.searchParams.has("apikey")) return request;
  const parts = url.search.slice(1).split("&").filter((part) => !part.startsWith("apikey="));
  url.search = parts.join("&");
  const headers = new Headers(request.headers);
  if (!headers.has("apikey")) headers.set("apikey", new URL(request.url).searchParams.get("apikey") ?? "");
  return new Request(url, { method: request.method, headers, body: request.body });
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
