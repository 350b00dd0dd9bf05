import { request } from "./api.js";
import { read, write } from "./storage.js";

const NAME = "kct.session";
/** An access token is renewed when it has less than this left. */
const RENEW_BEFORE_MS = 30_000;

let listeners = [];

function save(session) {
  write(NAME, session);
  for (const listener of listeners) listener();
}

/** Calls `listener` when somebody signs in or out, in this tab or another. */
export function onSessionChange(listener) {
  listeners = [...listeners, listener];
  addEventListener("storage", (event) => {
    if (event.key === NAME || event.key === null) listener();
  });
}

function keep(answer) {
  const session = {
    access_token: answer.access_token,
    refresh_token: answer.refresh_token,
    expires_at: Date.now() + Number(answer.expires_in ?? 3600) * 1000,
    email: answer.user?.email ?? "",
  };
  save(session);
  return session;
}

/** The signed-in shopper, `{ email, … }`, or null. */
export function currentSession() {
  return read(NAME, null);
}

/** Signs in with e-mail and password. Throws an ApiError when they do not match. */
export async function signIn(email, password) {
  return keep(
    await request("/auth/v1/token?grant_type=password", { method: "POST", body: { email, password } }),
  );
}

/** Where the link of a mail leads back to. */
function redirect() {
  return `redirect_to=${encodeURIComponent(`${location.origin}/store/account`)}`;
}

/** Asks for an account. True when it is open at once; else its address is to be confirmed by mail first. */
export async function signUp(email, password) {
  const answer = await request(`/auth/v1/signup?${redirect()}`, {
    method: "POST",
    body: { email, password },
  });
  if (!answer.access_token) return false;
  keep(answer);
  return true;
}

/** Has the mail of a sign-up sent once more. */
export async function sendConfirmationAgain(email) {
  await request(`/auth/v1/resend?${redirect()}`, { method: "POST", body: { type: "signup", email } });
}

/**
 * Takes what the link of a mail has brought along behind the address of this page: a session, or the code of what is
 * wrong with the link, which is returned.
 */
export async function takeLink() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const token = fields.get("access_token");
  if (token === null && !fields.has("error")) return null;
  history.replaceState(null, "", location.pathname + location.search);
  if (token === null) return fields.get("error_code") ?? "unexpected";
  const user = await request("/auth/v1/user", { token });
  keep({
    access_token: token,
    refresh_token: fields.get("refresh_token"),
    expires_in: fields.get("expires_in"),
    user,
  });
  return null;
}

/** Forgets the session here: its token is good for nothing any more. */
export function forgetSession() {
  save(null);
}

/** Forgets the session here and at the server; an unreachable server does not keep anybody signed in. */
export async function signOut() {
  const session = currentSession();
  forgetSession();
  if (session === null) return;
  try {
    await request("/auth/v1/logout", { method: "POST", token: session.access_token });
  } catch { /* the token runs out by itself */ }
}

/** A valid access token of the signed-in shopper, renewed when needed, or null for a guest. */
export async function accessToken() {
  const session = currentSession();
  if (session === null) return null;
  if (session.expires_at - Date.now() > RENEW_BEFORE_MS) return session.access_token;
  try {
    const body = { refresh_token: session.refresh_token };
    return keep(await request("/auth/v1/token?grant_type=refresh_token", { method: "POST", body }))
      .access_token;
  } catch (error) {
    if (error.code === "network" || error.code === "timeout") throw error;
    forgetSession();
    return null;
  }
}
