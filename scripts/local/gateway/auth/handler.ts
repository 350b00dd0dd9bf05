/**
 * What a shop and its staff use of Supabase Auth: accounts, addresses and passwords by mail, one factor or two,
 * sessions, and the accounts as the shop's server manages them. `/auth/v1/*`
 */
import { adminRoute } from "./admin.ts";
import { recover, resend, signUp, updateUser } from "./confirmation.ts";
import type { Context } from "./context.ts";
import { AuthError, errorResponse, unsupported } from "./errors.ts";
import { factorRoute } from "./factors.ts";
import { signIn, signOut } from "./sessions.ts";
import { requireSession, shownUser } from "./users.ts";
import { openLink, verifyToken } from "./verify.ts";

/** Answers one request; `path` is what follows `/auth/v1/`. */
export type AuthHandler = (request: Request, path: string) => Promise<Response>;

type Route = (request: Request, context: Context) => Promise<Response> | Response;

const ROUTES: Record<string, Route> = {
  "POST token": signIn,
  "POST signup": signUp,
  "POST resend": resend,
  "POST recover": recover,
  "GET verify": openLink,
  "POST verify": verifyToken,
  "GET user": async (request, context) =>
    Response.json(await shownUser((await requireSession(request, context)).user, context)),
  "PUT user": updateUser,
  "POST logout": signOut,
  "GET health": () => Response.json({ name: "GoTrue", description: "offline stand-in" }),
  "GET settings": (_request, { settings }) => Response.json(publicSettings(settings.confirmations)),
  "GET .well-known/jwks.json": (_request, { keys }) => Response.json(keys.jwks),
};

function publicSettings(confirmations: boolean) {
  return {
    external: { anonymous_users: false, email: true, phone: false },
    disable_signup: false,
    mailer_autoconfirm: !confirmations,
    phone_autoconfirm: false,
    sms_provider: "",
    saml_enabled: false,
  };
}

/** Creates the layer; `context.sql` logs in as `supabase_auth_admin`. */
export function createAuth(context: Context): AuthHandler {
  return async (request, path) => {
    const route = ROUTES[`${request.method} ${path}`];
    try {
      const answer = route === undefined
        ? await factorRoute(request, path, context) ?? await adminRoute(request, path, context)
        : await route(request, context);
      if (answer !== null) return answer;
      throw unsupported(`${request.method} /auth/v1/${path}`);
    } catch (error) {
      if (!(error instanceof AuthError)) throw error;
      return errorResponse(error, request);
    }
  };
}

/** The paths that answer without an API key, as on hosted projects: whoever opens a mail's link has none. */
export function isOpenAuthPath(path: string): boolean {
  return path === ".well-known/jwks.json" || path === "verify";
}
