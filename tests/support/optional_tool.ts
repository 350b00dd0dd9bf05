/**
 * Tools that a developer's machine may lack. Tests that need one are skipped with a printed reason; with CI=true
 * they run all the same, and fail.
 */
export function skipWithout(tool: string, missing: string | null): boolean {
  if (missing === null || Deno.env.get("CI") === "true") return false;
  console.log(`skipped: ${tool} is missing (${missing}); CI=true makes this a failure`);
  return true;
}
