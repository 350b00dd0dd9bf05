/** What runs on GitHub may do as little as it needs, runs what was read, and runs nothing that a stranger writes. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { rotations } from "../../scripts/live/rotate/registry.ts";
import { nonEmpty } from "../support/non_empty.ts";

const folder = new URL("../../.github/", import.meta.url);

interface Step {
  uses?: string;
  run?: string;
  with?: Record<string, unknown>;
  env?: Record<string, string>;
}
interface Job {
  permissions?: Record<string, string>;
  environment?: string;
  needs?: string | string[];
  uses?: string;
  steps?: Step[];
}
interface Workflow {
  on: Record<string, unknown>;
  permissions?: Record<string, string>;
  jobs: Record<string, Job>;
}

/** Rights to write, by workflow and job; nobody else has any. */
const WRITERS: Record<string, string[]> = { "release/release": ["contents", "id-token", "attestations"] };

/** What is wrong with a workflow, one line each. */
function problemsIn(name: string, text: string): string[] {
  const workflow: Workflow = parse(text);
  const problems: string[] = [];
  const wrong = (what: string) => problems.push(`${name}: ${what}`);
  if ("pull_request_target" in workflow.on || "workflow_run" in workflow.on) {
    wrong("runs strangers' code with our rights");
  }
  if (JSON.stringify(workflow.permissions) !== "{}") wrong("its permissions are not {} at the top");
  for (const [id, job] of Object.entries(workflow.jobs)) {
    if (job.permissions === undefined) wrong(`${id} has no permissions of its own`);
    for (const [scope, right] of Object.entries(job.permissions ?? {})) {
      if (right === "read" || WRITERS[`${name}/${id}`]?.includes(scope)) continue;
      wrong(`${id} may ${right} ${scope}`);
    }
    for (const step of job.steps ?? []) {
      if (step.run?.includes("${{")) wrong(`${id} puts an expression into a script`);
      if (/secrets\./.test(JSON.stringify({ ...step, env: {} }))) {
        wrong(`${id} hands a secret on by another way than env`);
      }
      if (step.uses?.startsWith("actions/checkout@") && step.with?.["persist-credentials"] !== false) {
        wrong(`${id} leaves its token in the checkout`);
      }
      if (
        /\bdeno@/.test(step.run ?? "") && / install\b/.test(step.run ?? "") && !step.run?.includes("--frozen")
      ) {
        wrong(`${id} installs without the frozen lock file`);
      }
    }
  }
  for (const [, used = ""] of text.matchAll(/^[ -]*uses: (.*)$/gm)) {
    if (!/^\.\/\.github\/|^[\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(used)) {
      wrong(`${used} is not pinned to a commit, with its version beside it`);
    }
  }
  return problems;
}

const texts = new Map<string, string>();
for await (const { name } of Deno.readDir(new URL("workflows/", folder))) {
  texts.set(name.replace(/\.yml$/, ""), await Deno.readTextFile(new URL(`workflows/${name}`, folder)));
}
const workflow = (name: string): Workflow => parse(texts.get(name) ?? "");

Deno.test("workflows are pinned, have few rights, and put nothing from outside into a script", () => {
  assert.deepEqual([...texts.keys()].sort(), ["ci", "deploy", "release"]);
  for (const [name, text] of texts) assert.deepEqual(problemsIn(name, text), []);
});

Deno.test("the check of workflows finds what it is for", () => {
  const good = texts.get("ci") ?? "";
  assert.deepEqual(problemsIn("ci", good), []);
  const changes: [RegExp, string, RegExp][] = [
    [/^permissions: \{\}$/m, "permissions: write-all", /not \{\} at the top/],
    [/contents: read/, "contents: write", /ok may write contents/],
    [/@[0-9a-f]{40} # v/, "@v", /not pinned/],
    [/ # v7\.0\.1/, "", /not pinned/],
    [/persist-credentials: false/, "clean: true", /leaves its token/],
    [/run: \.ci\/run/, "run: echo ${{ github.head_ref }}", /an expression into a script/],
    [
      /run: \.ci\/run/,
      'uses: ./.github/a\n        with: { key: "${{ secrets.KEY }}" }',
      /by another way than env/,
    ],
    [/pull_request:/, "pull_request_target:", /strangers' code/],
    [/install --frozen/, "install", /without the frozen lock/],
  ];
  for (const [from, to, problem] of changes) {
    const text = good.replace(from, to);
    assert.notEqual(text, good, `${from}`);
    assert.match(problemsIn("ci", text).join("\n"), problem);
  }
});

Deno.test("workflows and .ci/run use the same version of Deno, and CI runs .ci/run", async () => {
  const script = await Deno.readTextFile(new URL("../.ci/run", folder));
  const version = /^DENO_VERSION=(\S+)$/m.exec(script)?.[1];
  const used = nonEmpty([...texts.values()].flatMap((text) => [...text.matchAll(/deno@([\d.]+)/g)]));
  assert.deepEqual([...new Set(used.map(([, each]) => each))], [version]);
  assert.ok(workflow("ci").jobs["ok"]?.steps?.some(({ run }) => run === ".ci/run"));
  assert.ok(
    workflow("ci").jobs["postgrest"]?.steps?.some(({ run }) => run === ".ci/run test tests/integration"),
  );
  assert.equal(workflow("release").jobs["release"]?.needs, "ok");
});

Deno.test("a deployment refuses a plan that would set a rotated secret back", () => {
  const text = workflow("deploy").jobs["plan"]?.steps?.map(({ run }) => run).join("\n") ?? "";
  const pattern = /grep -qE '(change [^']*)'/.exec(text)?.[1];
  assert.ok(pattern !== undefined);
  for (const { variable } of rotations) {
    if (!variable.startsWith("SUPABASE_")) assert.match(`  change ${variable}`, new RegExp(pattern));
  }
  assert.doesNotMatch("  change CHECKOUT_ALLOWED_ORIGINS", new RegExp(pattern));
  assert.doesNotMatch("  set METRICS_TOKEN", new RegExp(pattern));
});

Deno.test("a deployment waits for approval after its plan, and both look at the same commit", () => {
  const { plan, deploy } = workflow("deploy").jobs;
  assert.equal(deploy?.needs, "plan");
  assert.equal(deploy?.environment, "${{ inputs.project }}");
  assert.equal(plan?.environment, "${{ inputs.project }}-plan");
  const scripts = (job: Job | undefined) => job?.steps?.map(({ run }) => run ?? "").join("\n") ?? "";
  assert.match(scripts(plan), /task setup --dry-run .*--env/);
  assert.match(scripts(plan), /gh attestation verify/);
  assert.match(scripts(deploy), /task setup \$ONLY --env[\s\S]*task doctor --env/);
  assert.equal(deploy?.steps?.[0]?.with?.["ref"], "${{ needs.plan.outputs.commit }}");
});

Deno.test("packages and actions are updated weekly, a week after they came out", async () => {
  const { updates }: { updates: Record<string, unknown>[] } = parse(
    await Deno.readTextFile(new URL("dependabot.yml", folder)),
  );
  assert.deepEqual(updates.map((each) => each["package-ecosystem"]), ["deno", "github-actions"]);
  for (const each of updates) {
    assert.deepEqual(each["schedule"], { interval: "weekly" });
    assert.deepEqual(each["cooldown"], { "default-days": 7 });
  }
});
