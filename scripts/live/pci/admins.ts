/** Who has staff's rights, and how they sign in. */
import { type Check, emptyResult, noDatabase } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";

const FACTORS = "auth.mfa_factors";

/** Every admin has a second factor, and the database asks for it. Accounts are told by id alone. */
export const admins: Check = async ({ sql }) => {
  if (sql === null) return noDatabase;
  const result = emptyResult();
  const [there] = await sql.unsafe(`select to_regclass('${FACTORS}') is not null as factors,
    exists (select 1 from private.settings where key = 'admin_require_mfa' and value = 'true') as required`);
  const factor = there?.["factors"] === true
    ? `exists (select 1 from ${FACTORS} f where f.user_id = u.id and f.status = 'verified')`
    : "null::boolean";
  const found = await sql.unsafe<{ id: string; factor: boolean | null; shared: boolean }[]>(
    `select u.id::text, ${factor} as factor,
      split_part(u.email, '@', 1) ~* '^(admin|staff|office|info|shop|team|support)$' as shared
    from auth.users u
    where u.raw_app_meta_data ->> 'role' = 'admin' and u.deleted_at is null
      and (u.banned_until is null or u.banned_until < now())
    order by 1`,
  );
  for (const { id, factor, shared } of found) {
    if (factor === false) result.findings.push({ where: `admin ${id}`, what: "has no second factor" });
    if (factor === true) result.facts.push(`admin ${id} has a second factor`);
    if (shared) {
      result.facts.push(
        `admin ${id} has an address that several people may read: see that one person uses it`,
      );
    }
  }
  if (there?.["factors"] !== true) result.notExamined.push(`second factors: this database has no ${FACTORS}`);
  if (there?.["required"] === true) result.facts.push("the database asks staff for a second factor");
  else {
    result.findings.push({
      where: "private.settings admin_require_mfa",
      what: "staff get in without a second factor: set ADMIN_REQUIRE_MFA=true",
    });
  }
  result.examined.push({
    what: "accounts with app_metadata.role = admin",
    items: found.length,
    sha256: await sha256(found.map(({ id, factor }) => `${id} ${factor}`).join("\n")),
    moves: false,
  });
  return result;
};
