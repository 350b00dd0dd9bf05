/** The tool pages keep themselves current. */
import assert from "node:assert/strict";
import { startWeb } from "../../scripts/local/web/server.ts";
import { eventually } from "../support/poll.ts";
import { TestBrowser, withoutBrowser } from "./browser.ts";

/** More than the pages wait between two looks, and little of what they wait for an answer. */
const A_WHILE_MS = 4_000;

Deno.test({
  name: "inbox asks for news again only after the last answer, and shows none while it is paused",
  ignore: withoutBrowser(),
}, async () => {
  const dir = await Deno.makeTempDir({ prefix: "kct-web-" });
  const nowhere = "http://127.0.0.1:1";
  const site = await startWeb({
    port: 0,
    dir,
    apiUrl: nowhere,
    stripeUrl: nowhere,
    dbUrl: "postgresql://postgres:postgres@127.0.0.1:1/postgres",
    publishableKey: "sb_publishable_local",
    secretKey: "sb_secret_local",
  });
  const send = async (subject: string) => {
    const response = await fetch(`${site.url}/resend/emails`, {
      method: "POST",
      headers: { authorization: "Bearer re_local" },
      body: JSON.stringify({ from: "a@example.com", to: "b@example.com", subject, text: "Hello" }),
    });
    await response.body?.cancel();
  };
  try {
    await using browser = await TestBrowser.launch();
    const page = await browser.newShopper();
    await page.clock.install();
    await page.goto(`${site.url}/inbox`);
    const held: string[] = [];
    let wanted = "No mail yet";
    let answer = Promise.withResolvers<void>();
    await page.route("**/inbox", async (route) => {
      const response = await route.fetch();
      if ((await response.text()).includes(wanted)) {
        held.push(wanted);
        await answer.promise;
      }
      await route.fulfill({ response });
    });
    const holdsWanted = async () => {
      await page.clock.runFor(A_WHILE_MS);
      await eventually(`an answer with ${wanted}`, () => Promise.resolve(held.at(-1) === wanted));
    };

    await holdsWanted();
    await send("First");
    await page.clock.runFor(A_WHILE_MS);
    assert.equal(held.length, 1);
    answer.resolve();
    await page.getByText("First").waitFor();

    wanted = "Second";
    answer = Promise.withResolvers<void>();
    await send(wanted);
    await holdsWanted();
    await page.getByRole("button", { name: "Pause" }).click();
    const answered = page.waitForResponse("**/inbox");
    answer.resolve();
    await (await answered).finished();
    await page.clock.runFor(A_WHILE_MS);
    assert.equal(await page.getByText("Second").isVisible(), false);
    await page.getByRole("button", { name: "Paused" }).click();
    await page.clock.runFor(A_WHILE_MS);
    await page.getByText("Second").waitFor();
    await page.unrouteAll({ behavior: "wait" });
    assert.deepEqual(browser.problems, []);
  } finally {
    await site.stop();
    await Deno.remove(dir, { recursive: true });
  }
});
