import type postgres from "postgres";

/** Roles that the API gives to its callers. */
export type ApiRole = "anon" | "authenticated" | "service_role";

/** Who a statement runs as. */
export interface ApiIdentity {
  role: ApiRole;
  /** Claims of the access token, beside `role`. */
  claims?: Record<string, unknown>;
}

/** A signed-in customer. */
export function customer(userId: string, email = "shopper@example.com"): ApiIdentity {
  return { role: "authenticated", claims: { sub: userId, email, aal: "aal1", app_metadata: {} } };
}

/** A signed-in member of staff. */
export function admin(aal: "aal1" | "aal2" = "aal1"): ApiIdentity {
  const claims = {
    sub: "00000000-0000-4000-8000-000000000002",
    email: "admin@example.com",
    aal,
    app_metadata: { role: "admin" },
  };
  return { role: "authenticated", claims };
}

/**
 * Runs `work` in one transaction under a role of the API, with the claims where policies look for them, exactly as
 * PostgREST sets them. The transaction commits; throw to roll back.
 */
export async function asRole<T>(
  sql: postgres.Sql,
  identity: ApiIdentity | ApiRole,
  work: (tx: postgres.TransactionSql) => Promise<T>,
): Promise<T> {
  const { role, claims = {} } = typeof identity === "string" ? { role: identity } : identity;
  const result = await sql.begin(async (tx) => {
    await tx`select set_config('role', ${role}, true),
      set_config('request.jwt.claims', ${JSON.stringify({ ...claims, role })}, true)`;
    return { value: await work(tx) };
  });
  return result.value as T;
}

/** Returns the SQLSTATE that `work` fails with, or null when it succeeds. */
export async function sqlstateOf(work: PromiseLike<unknown>): Promise<string | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
    throw error;
  }
}
