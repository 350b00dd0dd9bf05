/** The sealed record of what staff and the system did. */
import { type Check, emptyResult, noDatabase } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";

/** Nothing was changed, removed or slipped in. */
export const auditTrail: Check = async ({ sql }) => {
  if (sql === null) return noDatabase;
  const result = emptyResult();
  const broken = await sql.unsafe<{ invariant: string }[]>(
    "select invariant from public.check_audit_chain()",
  );
  for (const { invariant } of broken) {
    result.findings.push({ where: invariant, what: "select * from check_audit_chain() says which row" });
  }
  const [seals] = await sql.unsafe("select count(*)::text as count from private.audit_seals");
  result.examined.push({
    what: "seals of the audit trail",
    items: Number(seals?.["count"]),
    sha256: await sha256(JSON.stringify(broken)),
    moves: true,
  });
  return result;
};
