import assert from "node:assert/strict";
import { startWeb, type WebSite } from "../../../scripts/local/web/server.ts";
import { nonEmpty } from "../../support/non_empty.ts";

/** Ports 1 and 2 of the loopback interface answer nothing. */
async function site(): Promise<WebSite & AsyncDisposable & { dir: string }> {
  const dir = await Deno.makeTempDir({ prefix: "kct-web-" });
  const started = await startWeb({
    port: 0,
    dir,
    apiUrl: "http://127.0.0.1:1",
    stripeUrl: "http://127.0.0.1:2",
    dbUrl: "postgresql://postgres:postgres@127.0.0.1:1/postgres",
    publishableKey: "sb_publishable_local",
    secretKey: "sb_secret_local",
  });
  const stop = async () => {
    await started.stop();
    await Deno.remove(dir, { recursive: true });
  };
  return { ...started, dir, [Symbol.asyncDispose]: stop };
}

async function get(url: string, init: RequestInit = {}) {
  const response = await fetch(url, { redirect: "manual", ...init });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

Deno.test("local site shows every page, and says what is missing, when the rest of the stack is down", async (t) => {
  await using web = await site();
  const pages: [string, RegExp][] = [
    ["/", /no answer/],
    ["/store", /KCT Menswear/],
    ["/store/products/oxford-shirt", /KCT Menswear/],
    ["/inbox", /No mail yet/],
    ["/console", /<title>Console</],
  ];
  for (const [path, expected] of pages) {
    await t.step(path, async () => {
      const page = await get(web.url + path);
      assert.equal(page.status, 200);
      assert.match(page.text, expected);
    });
  }
});

Deno.test("local site allows no inline script and calls only itself and the API", async () => {
  await using web = await site();
  for (const path of ["/", "/store", "/console", "/inbox"]) {
    const page = await get(web.url + path);
    const policy = page.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'/);
    assert.doesNotMatch(policy, /unsafe|\*/);
    assert.doesNotMatch(page.text, /\son[a-z]+=|style=|javascript:|<script(?![^>]*src=)/);
    assert.equal(page.headers.get("x-content-type-options"), "nosniff");
  }
  const store = await get(`${web.url}/store`);
  assert.match(
    store.headers.get("content-security-policy") ?? "",
    /connect-src 'self' http:\/\/127\.0\.0\.1:1;/,
  );
  const pay = await get(`${web.url}/store/pay`);
  const stripe = "'self' http://127\\.0\\.0\\.1:2; ";
  assert.match(
    pay.headers.get("content-security-policy") ?? "",
    new RegExp(`script-src ${stripe}.*frame-src ${stripe}`),
  );
});

Deno.test("local site gives the store the publishable key and never the secret one", async () => {
  await using web = await site();
  const page = await get(`${web.url}/store/cart`);
  assert.match(page.text, /sb_publishable_local/);
  assert.doesNotMatch(page.text, /sb_secret/);
});

Deno.test("local site tells the console the project's address and its publishable key, and nothing else", async () => {
  await using web = await site();
  const told = await get(`${web.url}/console/settings.json`);
  assert.deepEqual(JSON.parse(told.text), {
    api_url: "http://127.0.0.1:1",
    publishable_key: "sb_publishable_local",
    demo: { email: "admin@example.com", password: "demo-password" },
  });
  const page = await get(`${web.url}/console`);
  const policy = page.headers.get("content-security-policy") ?? "";
  assert.match(policy, /connect-src 'self' http:\/\/127\.0\.0\.1:1; form-action 'none'/);
  assert.match(policy, /require-trusted-types-for 'script'; trusted-types 'none'/);
});

Deno.test("local site serves its files and nothing outside of them", async () => {
  await using web = await site();
  const script = await get(`${web.url}/store/main.js`);
  assert.equal(script.headers.get("content-type"), "text/javascript; charset=utf-8");
  for (
    const path of [
      "/store/..%2fserver.ts",
      "/store/pages/%2e%2e/%2e%2e/main.ts",
      "/assets/../main.ts",
      "/store/server.ts",
      "/store/nothing",
      "/store/images/nothing.svg",
      "/console/nothing",
      "/console/site.ts",
      "/console/app/..%2fsite.ts",
      "/console/app/nothing.ts",
      "/console/packages/preact",
      "/console/packages/toString",
      "/inbox/00000000-0000-0000-0000-000000000000",
      "/nothing",
    ]
  ) {
    assert.equal((await get(web.url + path)).status, 404, path);
  }
});

Deno.test("local site hands the store the shop's own module about amounts, in the browser's language", async () => {
  await using web = await site();
  const script = await get(`${web.url}/store/shared/money.js`);
  assert.equal(script.headers.get("content-type"), "text/javascript; charset=utf-8");
  const { formatMoney }: typeof import("../../../supabase/functions/_shared/stripe/money.ts") = await import(
    `data:text/javascript,${encodeURIComponent(script.text)}`
  );
  assert.equal(formatMoney(1_299_000, "isk").replace(/\s/, " "), "ISK 12,990");
  assert.equal((await get(`${web.url}/store/shared/env.js`)).status, 404);
});

Deno.test("local site serves every module that the store and the console import", async () => {
  await using web = await site();
  const seen = new Set<string>();
  const follow = async (url: string): Promise<void> => {
    if (seen.has(url)) return;
    seen.add(url);
    const script = await get(url);
    assert.equal(script.status, 200, url);
    assert.equal(script.headers.get("content-type"), "text/javascript; charset=utf-8", url);
    const imports = [...script.text.matchAll(/^(?:import|export)\b[^;"]*?from\s*"([^"]+)";/gm)];
    for (const [, name = ""] of imports) {
      assert.match(name, /^[./]/, `${url} imports ${name}, which no browser knows`);
      await follow(new URL(name, url).href);
    }
  };
  await follow(`${web.url}/store/main.js`);
  await follow(`${web.url}/console/app/main.ts`);
  for (const path of ["store/shared/money.js", "console/shared/money.ts", "console/packages/uplot.js"]) {
    assert(seen.has(`${web.url}/${path}`), path);
  }
  const page = await get(`${web.url}/console`);
  for (const [, name] of nonEmpty([...page.text.matchAll(/(?:src|href)="([^"]+)"/g)])) {
    assert.equal((await get(web.url + name)).status, 200, name);
  }
});

Deno.test("local site draws each product of the seed, in its colours", async () => {
  await using web = await site();
  const seed = await Deno.readTextFile(new URL("../../../supabase/seed.sql", import.meta.url));
  const pictures = [...seed.matchAll(/'(\/store\/images\/[a-z-]+\.svg)'/g)].map((match) => match[1]);
  assert.equal(pictures.length, 8);
  for (const path of pictures) {
    const picture = await get(web.url + path);
    assert.equal(picture.headers.get("content-type"), "image/svg+xml; charset=utf-8");
    assert.match(picture.text, /^<svg /);
  }
  const [navy, white] = await Promise.all(
    ["Navy", "White"].map((color) => get(`${web.url}/store/images/wool-suit.svg?color=${color}`)),
  );
  assert.notEqual(navy?.text, white?.text);
  const hostile = await get(
    `${web.url}/store/images/wool-suit.svg?color=${encodeURIComponent('"><script>')}`,
  );
  assert.doesNotMatch(hostile.text, /script/);
});

Deno.test("inbox escapes a hostile mail and locks its HTML in", async () => {
  await using web = await site();
  const sent = await get(`${web.url}/resend/emails`, {
    method: "POST",
    headers: { authorization: "Bearer re_local" },
    body: JSON.stringify({
      from: "a@example.com",
      to: "b@example.com",
      subject: "<script>alert(1)</script>",
      html: "<script>alert(2)</script><p>Hello</p>",
    }),
  });
  const { id } = JSON.parse(sent.text);
  for (const path of ["/inbox", `/inbox/${id}`]) {
    const page = await get(web.url + path);
    assert.match(page.text, /&lt;script&gt;alert\(1\)/);
    assert.doesNotMatch(page.text, /<script>/);
  }
  const letter = await get(`${web.url}/inbox/${id}/html`);
  const policy = letter.headers.get("content-security-policy") ?? "";
  assert.match(policy, /default-src 'none';.*sandbox/);
  assert.doesNotMatch(policy, /script-src|allow-scripts|allow-same-origin/);
  const listed = JSON.parse((await get(`${web.url}/inbox.json`)).text);
  assert.equal(listed.data[0].id, id);
});

Deno.test("local site says how to free a port that is taken", async () => {
  await using web = await site();
  await assert.rejects(
    startWeb({
      port: web.port,
      dir: web.dir,
      apiUrl: "http://127.0.0.1:1",
      stripeUrl: "http://127.0.0.1:2",
      dbUrl: "postgresql://127.0.0.1:1/postgres",
      publishableKey: "k",
      secretKey: "k",
    }),
    /Port \d+ is in use.*LOCAL_WEB_PORT/,
  );
});

Deno.test("inbox shows every mail, page by page", async () => {
  await using web = await site();
  for (let number = 1; number <= 201; number++) {
    const sent = await get(`${web.url}/resend/emails`, {
      method: "POST",
      headers: { authorization: "Bearer re_local" },
      body: JSON.stringify({
        from: "a@example.com",
        to: "b@example.com",
        subject: `Mail ${number}.`,
        text: "-",
      }),
    });
    assert.equal(sent.status, 200);
  }
  const first = (await get(`${web.url}/inbox`)).text;
  assert.match(first, /Mail 201\./);
  assert.doesNotMatch(first, /Mail 1\./);
  const more = /href="([^"]+)" rel="next"/.exec(first)?.[1] ?? "";
  const second = (await get(web.url + more)).text;
  assert.match(second, /Mail 1\./);
  assert.doesNotMatch(second, /rel="next"/);
  assert.match(second, /201 to 201/);
});

Deno.test("inbox finds mails by words of sender, recipient, subject and text", async () => {
  await using web = await site();
  for (const subject of ["Your order 1", "Your order 2"]) {
    await get(`${web.url}/resend/emails`, {
      method: "POST",
      headers: { authorization: "Bearer re_local" },
      body: JSON.stringify({ from: "a@example.com", to: "b@example.com", subject, text: `About ${subject}` }),
    });
  }
  const found = async (words: string) => {
    const { text } = await get(`${web.url}/inbox?q=${encodeURIComponent(words)}`);
    return [...text.matchAll(/class="subject">([^<]*)</g)].map(([, subject]) => subject);
  };
  assert.deepEqual(await found("ABOUT  2"), ["Your order 2"]);
  assert.deepEqual(await found("b@example.com"), ["Your order 2", "Your order 1"]);
  assert.deepEqual(await found("order 3"), []);
});

Deno.test("inbox shows a mail in the colours that are asked for, whatever the reader's own are", async () => {
  await using web = await site();
  const sent = await get(`${web.url}/resend/emails`, {
    method: "POST",
    headers: { authorization: "Bearer re_local" },
    body: JSON.stringify({
      from: "a@example.com",
      to: "b@example.com",
      subject: "-",
      html: "<style>@media (prefers-color-scheme: dark) { p { color: white } }</style><p>Hello</p>",
    }),
  });
  const { id } = JSON.parse(sent.text);
  const letter = async (scheme: string) => (await get(`${web.url}/inbox/${id}/html?scheme=${scheme}`)).text;
  assert.match(await letter("dark"), /@media all \{/);
  assert.match(await letter("light"), /@media not all \{/);
  assert.match(
    (await get(`${web.url}/inbox/${id}?screen=phone&scheme=dark`)).text,
    /class="letter phone"[^>]*scheme=dark/,
  );
});
