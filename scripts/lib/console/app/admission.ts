/** Who may come in: staff, with a second factor where the shop requires one. */
import { type Backend, rowsOf, type Shop } from "./backend.ts";

/** How far somebody has come. */
export type Admission =
  | { state: "out" }
  | { state: "in"; shop: Shop; email: string }
  /** A second factor is set up: its code is missing. */
  | { state: "code"; factorId: string }
  /** Staff, but the shop requires a second factor and this account has none. */
  | { state: "no_factor"; email: string }
  /** Signed in, and not staff. */
  | { state: "not_staff"; email: string };

/** Looks at the session of this tab, and at what the database shows it. @throws BackendError */
export async function admit(backend: Backend): Promise<Admission> {
  const { auth } = backend.client;
  const { data: { session } } = await auth.getSession();
  if (session === null) return { state: "out" };
  const email = session.user.email ?? "";
  const factor = session.user.factors?.find((one) => one.factor_type === "totp" && one.status === "verified");
  const level = await auth.mfa.getAuthenticatorAssuranceLevel();
  if (factor !== undefined && level.data?.currentLevel === "aal1") {
    return { state: "code", factorId: factor.id };
  }
  const [shop] = await rowsOf<Shop>(backend.from("reporting.shop").select());
  // The database decides; what the token says only tells why.
  if (shop !== undefined) return { state: "in", shop, email };
  return { state: session.user.app_metadata["role"] === "admin" ? "no_factor" : "not_staff", email };
}
