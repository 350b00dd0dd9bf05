/** What a monitor is given: docs/monitoring.md, rules, dashboard and configuration, held against the registry. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { runCommand } from "../../scripts/lib/command.ts";
import { ROOT } from "../../scripts/lib/paths.ts";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { ownFamilies } from "../../supabase/functions/health/openmetrics.ts";
import { nonEmpty } from "../support/non_empty.ts";
import { skipWithout } from "../support/optional_tool.ts";

const folder = join(ROOT, "docs/monitoring");
const page = await Deno.readTextFile(join(ROOT, "docs/monitoring.md"));
const rules = await Deno.readTextFile(join(folder, "rules.yml"));

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

interface Metric {
  name: string;
  type: string;
  labels: string[];
  help: string;
  counted_by: string;
}
const registry: Metric[] = [
  ...await sql<Metric[]>`select name, type, labels, help, counted_by from private.metrics`,
  ...ownFamilies.map(({ name, type, help }) => ({
    name,
    type,
    labels: name === "check_ok" ? ["check"] : [],
    help,
    counted_by: "functions",
  })),
];

/** All series that a monitor can see, by the name it sees. */
const series = new Map(registry.flatMap(({ name, type, labels }) => {
  const endings = type === "counter" ? ["_total"] : type === "gauge" ? [""] : ["_bucket", "_count", "_sum"];
  return endings.map((ending): [string, string[]] => [
    `shop_${name}${ending}`,
    ending === "_bucket" ? [...labels, "le"] : labels,
  ]);
}));

const missing = (await runCommand("promtool", ["--version"])).success ? null : "install Debian's prometheus";
const ignore = skipWithout("promtool", missing);

async function promtool(...args: string[]): Promise<void> {
  const { success, stdout, stderr } = await runCommand("promtool", args, { cwd: folder });
  assert(success, `${stdout}${stderr}`);
}

interface Panel {
  title: string;
  type: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; refId: string; datasource: { uid: string } }[];
}
const dashboard: { panels: Panel[]; templating: { list: { name: string }[] } } = JSON.parse(
  await Deno.readTextFile(join(folder, "dashboard.json")),
);
const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

Deno.test("docs/monitoring.md has every metric with its type, labels and help, and no other", () => {
  const rows = [
    ...page.matchAll(/^\| `([a-z0-9_]+)` +\| (counter|gauge|histogram) +\| (.*?) *\| (.*?) *\|$/gm),
  ];
  const health = [...page.matchAll(/^\| `([a-z0-9_]+)` +\| ([^|]*?) *\|$/gm)];
  const line = ({ name, type, labels, help }: Metric) =>
    [name, type, labels.map((label) => `\`${label}\``).join(", "), help].join(" | ");
  assert.deepEqual(
    rows.map(([, name, type, labels, help]) => [name, type, labels, help].join(" | ")).sort(),
    registry.filter(({ counted_by }) => counted_by !== "health").map(line).sort(),
  );
  assert.deepEqual(
    health.map(([, name, help]) => `${name} | ${help}`).sort(),
    registry.filter(({ counted_by }) => counted_by === "health").map(({ name, help }) => `${name} | ${help}`)
      .sort(),
  );
});

Deno.test("docs/monitoring.md has every objective with its target, and says what to do for every alert", async () => {
  const objectives =
    await sql`select name, (100 * target)::double precision as target from private.objectives`;
  const named = [...page.matchAll(/^\| `([a-z]+)` +\| .*? \| ([\d.]+) %/gm)].map(([, name, share]) =>
    `${name} ${share}`
  );
  assert.deepEqual(named.sort(), objectives.map(({ name, target }) => `${name} ${target}`).sort());
  const alerts = nonEmpty([...rules.matchAll(/- alert: (\w+)/g)].map(([, alert = ""]) => alert));
  const entries = [...page.matchAll(/^### (Shop\w+)$/gm)].map(([, alert]) => alert);
  assert.deepEqual(entries.sort(), [...alerts].sort());
  for (const alert of alerts) assert(rules.includes(`docs/monitoring.md#${alert.toLowerCase()}`), alert);
});

Deno.test("rules and dashboard ask for series and labels that exist", () => {
  const texts = [rules.replace(/^ *- name: .*$/gm, ""), ...nonEmpty(expressions)].join("\n");
  const recorded = [...rules.matchAll(/record: (shop:\S+)/g)].map(([, name]) => name);
  const asked = [...texts.matchAll(/\b(shop_[a-z0-9_]+)(\{([^}]*)\})?/g)].map((
    [, name = "", , selector = ""],
  ) => ({ name, labels: [...selector.matchAll(/(\w+)\s*[!=]/g)].map(([, label = ""]) => label) }));
  for (const { name, labels } of nonEmpty(asked)) {
    const known = series.get(name);
    assert(known !== undefined, name);
    assert.deepEqual(labels.filter((label) => ![...known, "job"].includes(label)), [], name);
  }
  for (const [name] of nonEmpty(texts.matchAll(/shop:\w+:\w+/g))) assert(recorded.includes(name), name);
});

Deno.test("the dashboard shows every metric that is counted, and its panels do not overlap", () => {
  const counted = registry.filter(({ counted_by }) => counted_by !== "health").map(({ name }) => name);
  const all = expressions.join("\n");
  assert.deepEqual(counted.filter((name) => !new RegExp(`\\bshop_${name}(_\\w+)?\\b`).test(all)), []);
  const taken = new Map<string, string>();
  for (const { title, gridPos: { x, y, w, h }, targets = [] } of dashboard.panels) {
    assert(x + w <= 24, title);
    for (let column = x; column < x + w; column++) {
      for (let line = y; line < y + h; line++) {
        const place = `${column},${line}`;
        assert.equal(taken.get(place), undefined, `${title} lies over another`);
        taken.set(place, title);
      }
    }
    assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
    for (const { datasource, expr } of targets) {
      assert.equal(datasource.uid, "${datasource}", title);
      assert(expr.includes("$job"), title);
    }
  }
  assert.deepEqual(dashboard.templating.list.map(({ name }) => name), ["datasource", "job"]);
});

Deno.test({
  name: "promtool: the rules do what their tests say, and the configuration is one",
  ignore,
  fn: async () => {
    await promtool("check", "rules", "rules.yml");
    await promtool("test", "rules", "rules.test.yml");
    await promtool("check", "config", "--syntax-only", "prometheus.yml");
  },
});

Deno.test({
  name: "promtool: every expression of the dashboard is PromQL",
  ignore,
  fn: async () => {
    const made = await Deno.makeTempFile({ suffix: ".yml" });
    try {
      const filled = nonEmpty(expressions).map((expr) => expr.replaceAll("$__rate_interval", "5m"));
      const asRules = filled.map((expr, at) => ({ record: `panel:${at}`, expr }));
      await Deno.writeTextFile(made, JSON.stringify({ groups: [{ name: "dashboard", rules: asRules }] }));
      await promtool("check", "rules", made);
    } finally {
      await Deno.remove(made);
    }
  },
});
