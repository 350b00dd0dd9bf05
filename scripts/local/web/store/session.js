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
