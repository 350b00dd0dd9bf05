/** CORS of the gateway: every answer can be read by a browser, refusals and what is not supported too. */
import { corsHeaders } from "../../../supabase/functions/_shared/http/endpoint.ts";

const COMMON = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers":
    "content-range,content-location,content-encoding,x-request-id,location,range-unit,x-supabase-api-version,x-total-count,link",
};

/** What Auth takes beside the list of supabase-js. */
const OF_AUTH = ["accept", "x-client-ip", "x-jwt-aud", "x-use-cookie"];

/** Adds what lets a page of any origin read `response`, as hosted REST and Auth do. */
export function withCors(response: Response): Response {
  for (const [name, value] of Object.entries(COMMON)) response.headers.set(name, value);
  return response;
}

/** Answers a preflight: PostgREST takes any header that is asked for, the other services those of a list. */
export function preflight(request: Request, service: string): Response {
  const asked = request.headers.get("access-control-request-headers");
  const list = [...corsHeaders, ...OF_AUTH].join(", ");
  return withCors(
    new Response(null, {
      status: 204,
      headers: {
        "access-control-allow-methods": "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS",
        "access-control-allow-headers": service === "rest" ? asked ?? list : list,
        "access-control-max-age": "3600",
      },
    }),
  );
}
