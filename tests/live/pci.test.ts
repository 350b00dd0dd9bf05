/** `deno task pci` on an offline stack: what it finds, what it never tells, and what its signature is worth. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { runCommand } from "../../scripts/lib/command.ts";
import { ROOT } from "../../scripts/lib/paths.ts";
import { findSource } from "../../scripts/live/doctor/subject.ts";
import { openReadOnly } from "../../scripts/lib/connection.ts";
import { collectFrom, compareLast, main } from "../../scripts/live/pci.ts";
import type { Scene } from "../../scripts/live/pci/check.ts";
import type { Collection } from "../../scripts/live/pci/compare.ts";
import { verifyCollection } from "../../scripts/live/pci/sign.ts";
import { nonEmpty } from "../support/non_empty.ts";
import { eventually } from "../support/poll.ts";
import { type TestStack, testStack } from "../support/stack.ts";

const options = { sanitizeOps: false, sanitizeResources: false };
const adminId = "00000000-0000-4000-8000-000000000002";
/** What changes besides, when the test below has broken everything that it breaks. */
const otherChanges = [
  "E3: passed → failed",
  "2.2.2: passed → failed",
  "3.2.1: passed → failed",
  "8.2.1: not_examined → failed",
  "8.2.2: not_examined → failed",
  "8.3.1: not_examined → failed",
  "8.3.9: not_examined → failed",
  "9.4.1.1: to_confirm → failed",
  "11.3.2: not_examined → failed",
  "S1: not_examined → failed",
  "S3: to_confirm → failed",
  "check admins: accounts with app_metadata.role = admin changed",
  "check card-numbers-code: files of the checkout changed",
  "check key-ages: no more not examined: LINK_SIGNING_SECRET: nobody has noted when it was made: " +
  "add key:LINK_SIGNING_SECRET to docs/pci/records.yaml",
  "check rights: rules of access in schemas public, private and reporting changed",
  "check secrets-code: files of the checkout changed",
  "record asv-scan: no more not examined: docs/pci/records.yaml says nothing of asv-scan",
];
const now = new Date("2026-11-27T12:00:00Z");

let stack: TestStack;
let work: string;

/** A checkout with nothing but what the checks read, so that no history of years is read for each test. */
async function makeCheckout(): Promise<string> {
  const root = join(work, "checkout");
  const kept = [
    "deno.lock",
    "tests/schema.sql",
    "docs/disaster.md",
    ...[...Deno.readDirSync(join(ROOT, "docs/pci"))].map(({ name }) => `docs/pci/${name}`),
  ];
  for (const path of kept) {
    await Deno.mkdir(join(root, path, ".."), { recursive: true });
    await Deno.copyFile(join(ROOT, path), join(root, path));
  }
  for (const args of [["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]]) {
    const { success, stderr } = await runCommand(
      "git",
      ["-c", "user.name=t", "-c", "user.email=t@shop.example", ...args],
      { cwd: root },
    );
    assert.ok(success, stderr);
  }
  return root;
}

Deno.test.beforeAll(async () => {
  work = await Deno.makeTempDir({ prefix: "kct-pci-" });
  await makeCheckout();
  stack = await testStack({ jobs: true });
  await stack.sql`insert into auth.mfa_factors (user_id, status) values (${adminId}, 'verified')`;
  await stack.sql`update private.settings set value = 'true' where key = 'admin_require_mfa'`;
  await eventually("retry-jobs to have run", async () => {
    const [row] = await stack.sql`select exists (select from private.heartbeats) as beats`;
    return row?.["beats"] === true;
  });
});
Deno.test.afterAll(async () => {
  await stack.stop();
  await Deno.remove(work, { recursive: true });
});

async function records(...entries: string[]): Promise<string> {
  const path = join(work, `records-${crypto.randomUUID()}.yaml`);
  const list = entries.map((entry) =>
    `\n  - { what: "${entry.split(" ")[0]}", on: ${entry.split(" ")[1]}, by: owner }`
  );
  await Deno.writeTextFile(path, `records:${list.join("") || " []"}\n`);
  return path;
}

/** `deno audit` is asked for in its own test; everything else runs as it does for a shop. */
const withoutRegistry: Scene["run"] = (program, args, given) =>
  args[0] === "audit"
    ? Promise.resolve({
      success: false,
      stdout: "",
      stderr: `no answer to ${stack.secret_key} of ann@shop.example`,
    })
    : runCommand(program, args, given);

const replaced = () => ({ root: join(work, "checkout"), now, run: withoutRegistry });

async function collectInto(out: string, recordsPath: string): Promise<Collection> {
  await using database = openReadOnly(stack.db_url);
  return await collectFrom({
    source: await findSource(null, { LOCAL_DIR: stack.dir }),
    sql: await database.session(),
    out,
    logs: join(stack.dir, "logs"),
    records: recordsPath,
    replaced: replaced(),
  });
}

/** Digests stand for row keys that may say something of a person. */
const withoutDigests = (line: string) => line.replace(/sha256:[0-9a-f]{12}/g, "sha256:…");

function findingsOf({ files }: Collection, id: string): string[] {
  const evidence = files.find(({ requirement }) => requirement === id)?.evidence ?? [];
  return evidence.flatMap(({ findings }) => findings).map(({ where, what }) =>
    withoutDigests(`${where}: ${what}`)
  );
}

const failed = ({ manifest }: Collection) =>
  Object.entries(manifest.statuses).filter(([, status]) => status === "failed").map(([id]) => id);

async function everythingIn(folder: string): Promise<string> {
  const texts = await Promise.all(
    [...Deno.readDirSync(folder)].map(({ name }) => Deno.readTextFile(join(folder, name))),
  );
  return texts.join("\n");
}

Deno.test({
  ...options,
  name: "pci: a healthy stack fails nothing, fits the schema, says what it did not see and shows no secret",
  fn: async () => {
    const out = join(work, "healthy");
    const collection = await collectInto(out, await records("access-review 2026-11-01"));
    assert.deepEqual(
      failed(collection),
      [],
      JSON.stringify(collection.files.flatMap(({ evidence }) => evidence.flatMap((e) => e.findings))),
    );
    const schema = z.fromJSONSchema(
      JSON.parse(await Deno.readTextFile(join(ROOT, "docs/pci/evidence.schema.json"))),
    );
    const folder = join(out, "2026-11-27");
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    for (const name of nonEmpty(names.filter((each) => each.endsWith(".json")))) {
      const result = schema.safeParse(JSON.parse(await Deno.readTextFile(join(folder, name))));
      assert.ok(result.success, `${name}: ${result.error}`);
    }
    assert.ok(!schema.safeParse({ format: "pci-evidence/1" }).success, "the schema refuses something");
    assert.deepEqual(names.filter((name) => !/^[\dES].*\.json$/.test(name)), [
      "manifest.json",
      "manifest.sig",
      "report.md",
    ]);
    assert.deepEqual(await verifyCollection(out, collection.folder), []);
    const states = new Map(
      collection.files.flatMap(({ evidence }) =>
        evidence.map(({ kind, name, status }) => [`${kind} ${name}`, status])
      ),
    );
    assert.equal(states.get("check card-numbers-database"), "passed");
    assert.equal(states.get("check rights"), "passed");
    assert.equal(states.get("check admins"), "passed");
    assert.equal(states.get("record access-review"), "passed");
    assert.equal(states.get("record asv-scan"), "not_examined");
    assert.equal(states.get("check site"), "not_examined");
    assert.equal(states.get("check dependencies"), "not_examined");
    assert.equal(states.get("document docs/pci/policies.md"), "to_confirm");
    const all = await everythingIn(folder);
    assert.match(all, /advisories: 'deno audit' does not reach the registry/);
    for (
      const secret of [
        stack.secret_key,
        stack.stripe_secret_key,
        stack.stripe_webhook_secret,
        "example.com",
        "shop.example",
      ]
    ) {
      assert.ok(!all.includes(secret), secret);
    }
  },
});

Deno.test({
  ...options,
  name:
    "pci: whatever is wrong fails its requirement, masked, and the next run names exactly what has changed",
  fn: async () => {
    const out = join(work, "broken");
    await collectInto(out, await records());
    const card = "4539 1488 0343 6467", shown = "card_***6467";
    const { sql } = stack;
    const log = join(stack.dir, "logs", "planted.log");
    await sql.begin(async (tx) => {
      await tx`drop policy alerts_read on public.alerts`;
      await tx`grant insert on public.refunds to authenticated`;
      await tx`grant update (email) on public.orders to authenticated`;
      await tx`update auth.mfa_factors set status = 'unverified'`;
      await tx`update public.products set description = ${`paid with ${card}`} where slug = (select min(slug) from public.products)`;
      await tx`update auth.users set raw_user_meta_data = ${
        tx.json({ note: [card.replaceAll(" ", "")] })
      } where id = ${adminId}`;
      await tx`insert into private.rate_limits values (${`ann@shop.example ${card}`}, now(), 1)`;
    });
    await Deno.writeTextFile(log, `nothing\n{"note":"${card}"}\n`);
    await Deno.writeTextFile(join(work, "checkout", "note.txt"), `first\ncall ${nextCard(card)}\n`);
    const [product] = await sql`select id from public.products order by slug limit 1`;
    try {
      const collection = await collectInto(
        out,
        await records("key:LINK_SIGNING_SECRET 2025-01-15", "asv-scan 2026-01-15"),
      );
      assert.equal(collection.folder, "2026-11-27-2", "nothing is overwritten");
      const wrong = "E3 2.2.2 3.2.1 8.2.1 8.2.2 8.3.1 8.3.9 9.4.1.1 11.3.2 S1 S3";
      assert.deepEqual(failed(collection).sort(), wrong.split(" ").sort());
      const inDatabase = [
        `private.rate_limits.key, row sha256:…, sha256:…: a card number: ${shown}`,
        `auth.users.raw_user_meta_data, row ${adminId}: a card number: ${shown}`,
        `public.products.description, row ${product?.["id"]}: a card number: ${shown}`,
      ];
      const elsewhere = [
        `planted.log:2: a card number: ${shown}`,
        `note.txt:2: a card number that is not one for tests: card_***${nextCard(card).slice(-4)}`,
      ];
      assert.deepEqual(findingsOf(collection, "E3").sort(), [...inDatabase, ...elsewhere].sort());
      const accesses = [
        "public.alerts: the database lacks: policy alerts_read on public.alerts as permissive for select " +
        "to authenticated using (( SELECT private.is_admin() AS is_admin))",
        "public.refunds: tests/schema.sql does not know: grant insert on table public.refunds to authenticated",
        "public.orders: tests/schema.sql does not know: grant update on column public.orders.email to authenticated",
      ];
      assert.deepEqual(findingsOf(collection, "S3").sort(), accesses.sort());
      const admin = `admin ${adminId}: has no second factor`;
      assert.deepEqual(findingsOf(collection, "8.2.2"), [admin]);
      const key = "LINK_SIGNING_SECRET: is more than 365 days old: rotate it (docs/pci/keys.md)";
      assert.deepEqual(findingsOf(collection, "S1"), [key]);
      const scan = "docs/pci/records.yaml: asv-scan was last done on 2026-01-15, more than 92 days ago";
      assert.deepEqual(findingsOf(collection, "11.3.2"), [scan]);
      const found = collection.manifest.changes.filter((change) => change.includes(": new finding: "));
      assert.deepEqual(
        found.map((change) => withoutDigests(change.replace(/^.*: new finding: /, ""))).sort(),
        [...inDatabase, ...elsewhere, ...accesses, admin, key, scan].sort(),
      );
      const others = collection.manifest.changes.filter((change) => !found.includes(change));
      assert.deepEqual(others.sort(), otherChanges.sort());
      const all = await everythingIn(join(out, collection.folder));
      for (const secret of [card, card.replaceAll(" ", ""), nextCard(card), "shop.example"]) {
        assert.ok(!all.includes(secret));
      }
    } finally {
      await sql`create policy alerts_read on public.alerts for select to authenticated
        using ((select private.is_admin()))`;
      await sql`revoke insert on public.refunds from authenticated`;
      await sql`revoke update (email) on public.orders from authenticated`;
      await sql`update auth.mfa_factors set status = 'verified'`;
      await sql`update auth.users set raw_user_meta_data = '{}'`;
      await sql`delete from private.rate_limits`;
      await sql`update public.products set description = '' where id = ${product?.["id"]}`;
      await Deno.remove(log);
      await Deno.remove(join(work, "checkout", "note.txt"));
    }
  },
});

/** Another number of the same issuer whose check digit fits. */
function nextCard(card: string): string {
  const digits = card.replaceAll(" ", "").slice(0, -2) + "7";
  for (let last = 0; last < 10; last++) {
    const sum = [...`${digits}${last}`].reverse().reduce((total, digit, at) => {
      const doubled = at % 2 === 0 ? Number(digit) : Number(digit) * 2;
      return total + (doubled > 9 ? doubled - 9 : doubled);
    }, 0);
    if (sum % 10 === 0) return `${digits}${last}`;
  }
  throw new Error("No check digit fits");
}

Deno.test({
  ...options,
  name: "pci: the task fails with what failed, and its signature tells what was changed afterwards",
  fn: async () => {
    const out = join(work, "signed");
    const stale = await records("policy-review 2020-01-15");
    const said: string[] = [];
    const code = await main(
      { out, envFile: null, logs: null, records: stale },
      { env: { LOCAL_DIR: stack.dir }, say: (line) => said.push(line), replaced: replaced() },
    );
    assert.equal(code, 1, said.join("\n"));
    assert.ok(
      said.includes(
        "failed        record policy-review (3.1.1)\n" +
          "  docs/pci/records.yaml: policy-review was last done on 2020-01-15, more than 365 days ago",
      ),
      said.join("\n"),
    );
    assert.match(said.at(-1) ?? "", /^1 failed, \d+ not examined, \d+ to confirm, \d+ passed: .*report\.md$/);
    const folder = "2026-11-27";
    await collectInto(out, await records("policy-review 2026-11-01"));
    const compared: string[] = [];
    assert.equal(await compareLast(out, (line) => compared.push(line)), 0);
    assert.deepEqual(
      compared,
      [
        "2026-11-27 → 2026-11-27-2:",
        "  3.1.1: failed → passed",
        "  record policy-review: no more finding: docs/pci/records.yaml: policy-review was last done on 2020-01-15, " +
        "more than 365 days ago",
      ].map((line) => line.replace("passed", "to_confirm")),
    );
    const other = await crypto.subtle.generateKey("Ed25519", true, ["sign"]) as CryptoKeyPair;
    const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", other.privateKey));
    await assert.rejects(
      compareLast(out, () => {}, btoa(String.fromCharCode(...pkcs8))),
      /belongs to another key than this one/,
      "evidence that somebody else has signed",
    );

    const path = join(out, folder, "3.1.1.json");
    const text = await Deno.readTextFile(path);
    const tampered = async (change: () => Promise<void>, expected: RegExp, restore: () => Promise<void>) => {
      await change();
      await assert.rejects(
        collectInto(out, stale),
        expected,
        "nothing is added to evidence that was changed",
      );
      await restore();
    };
    await tampered(
      () => Deno.writeTextFile(path, text.replace('"failed"', '"passed"')),
      /3\.1\.1\.json was changed after it was signed/,
      () => Deno.writeTextFile(path, text),
    );
    const manifest = join(out, folder, "manifest.json");
    const signed = await Deno.readTextFile(manifest);
    await tampered(
      () => Deno.writeTextFile(manifest, signed.replace('"3.1.1": "failed"', '"3.1.1": "passed"')),
      /manifest\.json does not match its signature/,
      () => Deno.writeTextFile(manifest, signed),
    );
    await tampered(
      () => Deno.writeTextFile(join(out, folder, "more.json"), "{}"),
      /more\.json was added later/,
      () => Deno.remove(join(out, folder, "more.json")),
    );
    const aside = join(work, "aside");
    await tampered(
      () => Deno.rename(join(out, folder), aside),
      /2026-11-27 is not the collection that 2026-11-27-2 followed/,
      () => Deno.rename(aside, join(out, folder)),
    );
    await Deno.writeTextFile(path, "{}");
    await assert.rejects(compareLast(out, () => {}), /3\.1\.1\.json was changed after it was signed/);
  },
});
