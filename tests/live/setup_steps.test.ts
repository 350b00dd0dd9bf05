/** Steps of setup that need no stack. */
import assert from "node:assert/strict";
import { judgeExposed } from "../../scripts/live/doctor/exposed_schemas.ts";
import { exposedSchemas, isExposed } from "../../scripts/live/setup/exposed_schemas.ts";
import type { SetupContext } from "../../scripts/live/setup/step.ts";
import { databaseTarget } from "../../scripts/live/setup/supabase.ts";
import { startManagementApi } from "../support/management_api.ts";
import { testEnv } from "../unit/fakes.ts";

Deno.test({
  name:
    "setup exposes schema reporting beside what the project exposes, once, and doctor says when it is not",
  fn: async () => {
    await using api = await startManagementApi();
    // An API as PostgREST is before and after.
    const asked: (string | null)[] = [];
    const rest = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      asked.push(request.headers.get("accept-profile"));
      return api.exposed.schemas.includes("reporting")
        ? Response.json([])
        : Response.json({ code: "PGRST106", message: "Invalid schema: reporting" }, { status: 406 });
    });
    try {
      const values: Record<string, string> = {
        SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}`,
        SUPABASE_PROFILE: api.profile,
      };
      const env = testEnv({ SUPABASE_URL: `http://127.0.0.1:${rest.addr.port}` });
      const project = { values, env, ref: "a".repeat(20), envFile: ".env" };
      const plan = () => exposedSchemas.plan({ project } as SetupContext);
      const first = await plan();
      assert.deepEqual(first.changes, ["expose schema reporting"]);
      assert.equal(judgeExposed(await isExposed(project.env)).level, "warning");
      assert.equal(api.exposed.schemas, "public, graphql_public", "a plan changes nothing");
      await first.apply();
      assert.equal(api.exposed.schemas, "public,graphql_public,reporting");
      assert.deepEqual((await plan()).changes, []);
      assert.equal(judgeExposed(await isExposed(project.env)).level, "ok");
      assert.deepEqual([...new Set(asked)], ["reporting"]);
      delete project.values["SUPABASE_ACCESS_TOKEN"];
      await assert.rejects(
        first.apply(),
        /SUPABASE_ACCESS_TOKEN .*\(dashboard, Project Settings, Data API\)/,
      );
    } finally {
      await rest.shutdown();
    }
  },
});

Deno.test("the database's password is in no argument of the CLI", async () => {
  const seen: string[] = [];
  const values = {
    SUPABASE_DB_URL: "postgresql://owner:p%40ss-w0rd@db.example:5432/postgres?sslmode=require",
  };
  seen.push(databaseTarget({ values, ref: null }));
  assert.deepEqual(seen, ["--remote=postgresql://owner@db.example:5432/postgres?sslmode=require"]);
  await assert.rejects(
    async () => await Promise.resolve(databaseTarget({ values: { SUPABASE_DB_URL: "nonsense" }, ref: null })),
    /SUPABASE_DB_URL is not a connection string/,
  );
});
