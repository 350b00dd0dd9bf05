/** Checks of `deno task pci` that reach out, with what is out there made up. */
import assert from "node:assert/strict";
import { runCommand } from "../../scripts/lib/command.ts";
import { ROOT } from "../../scripts/lib/paths.ts";
import { error, ok, unseen, warning } from "../../scripts/live/doctor/finding.ts";
import { openSubject, type Subject } from "../../scripts/live/doctor/subject.ts";
import type { CheckResult, Scene } from "../../scripts/live/pci/check.ts";
import { runCheck } from "../../scripts/live/pci/collect.ts";
import { judgeDiagnosis } from "../../scripts/live/pci/configuration.ts";
import { dependencies } from "../../scripts/live/pci/dependencies.ts";
import { keyAges } from "../../scripts/live/pci/key_ages.ts";
import { passwordRules } from "../../scripts/live/pci/password_rules.ts";
import { platformMembers } from "../../scripts/live/pci/platform_members.ts";
import { openSigningKey } from "../../scripts/live/pci/sign.ts";
import { site } from "../../scripts/live/pci/site.ts";

const ref = "abcdefghijklmnopqrst";
const values: Record<string, string> = {
  SUPABASE_URL: `https://${ref}.supabase.co`,
  SUPABASE_SECRET_KEYS: '{"default":"sb_secret_for_tests_only"}',
  STRIPE_SECRET_KEY: "sk_test_for_tests_only",
  STRIPE_WEBHOOK_SECRETS: "whsec_for_tests_only",
  APP_ENV: "staging",
  ALLOWED_ORIGINS: "https://shop.example",
  SITE_URL: "https://shop.example",
  SHIPPING_COUNTRIES: "US",
  LINK_SIGNING_SECRET: "x".repeat(40),
};

function subject(more: Record<string, string> = {}): Subject {
  const opened = openSubject({ kind: "project", name: "test", values: { ...values, ...more } });
  if (Array.isArray(opened)) assert.fail(JSON.stringify(opened));
  return opened;
}

function scene(given: Partial<Scene>): Scene {
  return {
    root: ROOT,
    kind: "project",
    subject: subject(),
    sql: null,
    logs: null,
    records: [],
    now: new Date("2026-11-27T12:00:00Z"),
    fetch: () => Promise.reject(new Error("nobody answers")),
    run: runCommand,
    ...given,
  };
}

const said = ({ findings }: CheckResult) => findings.map(({ where, what }) => `${where}: ${what}`).join("\n");

const headers = {
  "strict-transport-security": "max-age=31536000",
  "content-security-policy": "script-src 'self'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "strict-origin-when-cross-origin",
};

/** A site that answers so; plain http leads to https unless told otherwise. */
function answering(page: string, sent: Record<string, string>, plainStatus = 308): typeof fetch {
  return (input) => {
    const plain = String(input).startsWith("http:");
    return Promise.resolve(
      plain
        ? new Response(null, { status: plainStatus, headers: { location: "https://shop.example/" } })
        : new Response(page, { headers: sent }),
    );
  };
}

Deno.test("pci site: headers, plain http and a field for cards are judged, and silence is no answer", async () => {
  const good = await site(scene({ fetch: answering("<form>cart</form>", headers) }));
  assert.equal(said(good), "");
  assert.deepEqual(good.notExamined, []);
  const { "content-security-policy": _, ...fewer } = headers;
  const bad = await site(scene({
    fetch: answering('<input name="q"><input autocomplete="cc-number">', {
      ...fewer,
      "strict-transport-security": "max-age=60",
    }, 200),
  }));
  assert.match(said(bad), /no header content-security-policy/);
  assert.match(said(bad), /header strict-transport-security is "max-age=60"/);
  assert.match(said(bad), /other sites may frame it/);
  assert.match(said(bad), /the page has a field for card data/);
  assert.match(said(bad), /plain http answers 200/);
  assert.equal(bad.findings.length, 5);
  const silent = await site(scene({}));
  assert.equal(said(silent), "");
  assert.match(silent.notExamined.join(), /does not answer from here/);
  const closed = await site(scene({
    fetch: () => Promise.resolve(new Response("Are you a robot?", { status: 403, headers })),
  }));
  assert.match(closed.notExamined.join(), /answers 403/);
  const here = await site(
    scene({
      subject: subject({
        SITE_URL: "http://localhost:3000",
        APP_ENV: "development",
        ALLOWED_ORIGINS: "http://localhost:3000",
      }),
    }),
  );
  assert.match(here.notExamined.join(), /this machine/);
});

Deno.test("pci configuration: what the doctor could not see was not examined", () => {
  const judged = judgeDiagnosis([
    ok("fine"),
    warning("mail_off", "not so fine", "see to it"),
    unseen("the account of the key could not be read", "give it the right"),
    error("function_missing", "broken", "mend it"),
    error("rights_changed", "said by the check of rights", "mend it"),
  ]);
  assert.deepEqual(judged.facts, ["fine", "to look at: not so fine"]);
  assert.deepEqual(judged.notExamined, ["the account of the key could not be read"]);
  assert.equal(said(judged), "deno task doctor: broken → mend it");
});

Deno.test("pci: a check that had nothing to look at has not passed", async () => {
  const looked = (items: number) =>
    runCheck(
      "payment-page",
      () =>
        Promise.resolve({
          examined: [{ what: "hosts of payment pages", items, sha256: "0".repeat(64), moves: false }],
          facts: [],
          findings: [],
          notExamined: [],
        }),
      scene({}),
    );
  assert.equal((await looked(1)).status, "passed");
  const { status, not_examined } = await looked(0);
  assert.equal(status, "not_examined");
  assert.deepEqual(not_examined, ["hosts of payment pages: there are none yet"]);
});

Deno.test("pci keys: a key of a project without a date fails as one that is too old does", async () => {
  const note = (name: string, on: string) => ({ what: `key:${name}`, on, by: "developer" });
  const result = await keyAges(scene({
    records: [
      note("STRIPE_SECRET_KEY", "2026-01-15"),
      note("STRIPE_WEBHOOK_SECRETS", "2025-01-15"),
      note("LINK_SIGNING_SECRET", "2020-01-15"),
      note("LINK_SIGNING_SECRET", "2026-06-15"),
    ],
  }));
  assert.match(said(result), /^SUPABASE_SECRET_KEYS: nobody has noted when it was made/m);
  assert.match(said(result), /^STRIPE_WEBHOOK_SECRETS: is more than 365 days old/m);
  assert.equal(result.findings.length, 2);
});

Deno.test("pci members: one without a second factor is named by id; without a token nobody was looked at", async () => {
  const answers: Record<string, unknown> = {
    [`/v1/projects/${ref}`]: { organization_id: "shop-org" },
    "/v1/organizations/shop-org/members": [
      { user_id: "u1", user_name: "Ann", email: "ann@shop.example", role_name: "Owner", mfa_enabled: true },
      {
        user_id: "u2",
        user_name: "Bob",
        email: "bob@shop.example",
        role_name: "Developer",
        mfa_enabled: false,
      },
    ],
  };
  const asked = subject({ SUPABASE_ACCESS_TOKEN: "token-for-tests" });
  const get: typeof fetch = (input, init) => {
    assert.equal(new Headers(init?.headers).get("authorization"), "Bearer token-for-tests");
    return Promise.resolve(Response.json(answers[new URL(String(input)).pathname]));
  };
  const result = await platformMembers(scene({ subject: asked, fetch: get }));
  assert.equal(said(result), "member u2 (Developer): has no second factor");
  assert.ok(!JSON.stringify(result).includes("shop.example"), "no name and no address");
  assert.match((await platformMembers(scene({}))).notExamined.join(), /SUPABASE_ACCESS_TOKEN/);
});

Deno.test("pci passwords: what Auth takes is held against twelve characters, with letters and digits", async () => {
  const asked = subject({ SUPABASE_ACCESS_TOKEN: "token-for-tests" });
  const judged = async (settings: Record<string, unknown>) => {
    const get: typeof fetch = (input) => {
      assert.equal(new URL(String(input)).pathname, `/v1/projects/${ref}/config/auth`);
      return Promise.resolve(Response.json({ site_url: "https://shop.example", ...settings }));
    };
    return said(await passwordRules(scene({ subject: asked, fetch: get })));
  };
  const groups = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:0123456789";
  assert.equal(await judged({ password_min_length: 12, password_required_characters: groups }), "");
  assert.match(
    await judged({ password_min_length: 8, password_required_characters: groups }),
    /may have 8 characters/,
  );
  assert.match(
    await judged({ password_min_length: 12, password_required_characters: "" }),
    /no letters and digits/,
  );
  assert.equal((await judged({})).split("\n").length, 2);
  assert.match((await passwordRules(scene({}))).notExamined.join(), /SUPABASE_ACCESS_TOKEN/);
});

Deno.test("pci dependencies: what the registry's advisories say of a locked package is a finding", async () => {
  await using registry = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () =>
      Response.json({
        mustache: [{
          id: 1,
          url: "https://github.com/advisories/GHSA-none",
          title: "Made up",
          severity: "high",
          vulnerable_versions: "*",
          cwe: [],
          cvss: { score: 7, vectorString: null },
        }],
      }),
  );
  const address = (port: number): Scene["run"] => (program, args, given) =>
    runCommand(program, args, {
      ...given,
      env: { ...given?.env, NPM_CONFIG_REGISTRY: `http://127.0.0.1:${port}/` },
    });
  const result = await dependencies(scene({ run: address(registry.addr.port) }));
  assert.equal(
    said(result),
    "deno audit: Found 1 vulnerabilities\nmustache: an advisory, high: run 'deno audit' and update it",
  );
  const offline = await dependencies(scene({ run: address(1) }));
  assert.equal(said(offline), "");
  assert.match(offline.notExamined.join(), /does not reach the registry/);
});

Deno.test("pci signature: another key than that of the evidence so far is refused, and so is another kind", async () => {
  const out = await Deno.makeTempDir();
  try {
    const own = await openSigningKey(out, undefined);
    const again = await openSigningKey(out, undefined);
    const shape = { type: "pkcs8", format: "der" } as const;
    assert.deepEqual(again.export(shape), own.export(shape), "kept for the next run");
    assert.equal(
      ((await Deno.stat(`${out}/signing-key.pem`)).mode ?? 0o777) & 0o077,
      0,
      "for nobody else to read",
    );
    const other = await crypto.subtle.generateKey("Ed25519", true, ["sign"]);
    const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", (other as CryptoKeyPair).privateKey));
    await assert.rejects(openSigningKey(out, btoa(String.fromCharCode(...der))), /belongs to another key/);
    await assert.rejects(openSigningKey(out, "nonsense"), /PCI_SIGNING_KEY is no Ed25519 key/);
  } finally {
    await Deno.remove(out, { recursive: true });
  }
});
