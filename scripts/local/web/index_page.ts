import { type Html, html } from "../../stand-in/http/html.ts";
import { toolPage } from "./layout.ts";
import type { MailStore } from "./mail_store.ts";
import type { WebOptions } from "./site.ts";
import { TEST_CARDS } from "./test_cards.ts";

function card(href: string, title: string, text: string): Html {
  return html`<li><a href="${href}"><b>${title}</b><span>${text}</span></a></li>`;
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1500) });
    await response.body?.cancel();
    return response.status < 500;
  } catch {
    return false;
  }
}

function endpoint(name: string, value: string, up: boolean | null = null): Html {
  return html`
    <tr>
      <th scope="row">${name}</th>
      <td><code>${value}</code></td>
      <td>${up !== null &&
        html`<span class="badge ${up ? "good" : "bad"}">${up ? "answers" : "no answer"}</span>`}</td>
    </tr>
  `;
}

function curlExample(options: WebOptions): string {
  return `curl -s ${options.apiUrl}/functions/v1/create-checkout-session \\
  -H "apikey: ${options.publishableKey}" \\
  -H "content-type: application/json" \\
  -H "idempotency-key: ${crypto.randomUUID()}" \\
  -d '{"items":[{"sku":"SHIRT-OXF-WHT-M","quantity":1}]}'

curl -s ${options.stripeUrl}/_control/pay -d '{"session":"cs_…"}' -H "content-type: application/json"

curl -s "${options.apiUrl}/functions/v1/order-status?session_id=cs_…" -H "apikey: ${options.publishableKey}"`;
}

/** The front page of the stack: where everything is, the keys of this stack, and what to try first. */
export async function indexPage(options: WebOptions, mails: MailStore): Promise<Html> {
  const [api, stripe] = await Promise.all([
    answers(`${options.apiUrl}/functions/v1/health`),
    answers(`${options.stripeUrl}/_control/deliveries?limit=1`),
  ]);
  const body = html`
    <p
      class="lead">The whole payment system on this machine: a shop, an API, a database and a stand-in for Stripe. Nothing leaves it.</p>
    <ul class="cards">
          ${card("/store", "Store", "Buy something as a shopper would.")}
          ${card("/inbox", "Inbox", `Mails that customers and staff get: ${mails.list().length} so far.`)}
          ${card("/console", "Console", "Orders, events, queue, alerts and stock, live.")}
        </ul>
    <section aria-labelledby="where">
      <h2 id="where">Where is what</h2>
      <div class="scroll" tabindex="0" role="region" aria-label="Addresses and keys">
        <table>
          <tbody>
          ${endpoint("Functions", `${options.apiUrl}/functions/v1`, api)}
          ${endpoint("REST", `${options.apiUrl}/rest/v1`)}
          ${endpoint("Auth", `${options.apiUrl}/auth/v1`)}
          ${endpoint("Stripe stand-in", options.stripeUrl, stripe)}
          ${endpoint("Postgres", options.dbUrl)}
          ${endpoint("Publishable key", options.publishableKey)}
          ${endpoint("Secret key", options.secretKey)}
          </tbody>
        </table>
      </div>
      <p
        class="note">Keys and passwords are made for this stack and work nowhere else. All of this, with the keys for Stripe, is in
    <code>${options.dir}/stack.json</code>.</p>
    </section>
    <div class="columns">
      <section aria-labelledby="cards">
        <h2 id="cards">Test cards</h2>
        <p>Any future expiry date, any CVC.</p>
        <table class="compact">
          <thead>
            <tr>
              <th scope="col">Number</th>
              <th scope="col">What happens</th>
            </tr>
          </thead>
          <tbody>${TEST_CARDS.map((item) =>
            html`
              <tr>
                <td><code>${item.number}</code></td>
                <td>${item.effect}</td>
              </tr>
            `
          )}</tbody>
        </table>
      </section>
      <section aria-labelledby="people">
        <h2 id="people">Demo accounts</h2>
        <p>The password of both is <code>demo-password</code>.</p>
        <table class="compact">
          <tbody>
            <tr>
              <th scope="row">Shopper</th>
              <td><code>shopper@example.com</code></td>
            </tr>
            <tr>
              <th scope="row">Staff</th>
              <td><code>admin@example.com</code></td>
            </tr>
          </tbody>
        </table>
      </section>
    </div>
    <section aria-labelledby="curl">
      <h2 id="curl">The same by hand</h2>
      <pre class="code" tabindex="0" aria-label="Commands that buy a shirt"><code>${curlExample(
        options,
      )}</code></pre>
    </section>
  `;
  return toolPage({ title: "Local payment stack", section: "/", body });
}
