import { refusalOf } from "../../stand-in/http/strangers.ts";
import { CONSOLE_PATH, consoleSite } from "../../lib/console/site.ts";
import { openDatabase } from "./database.ts";
import { illustration } from "./illustrations/mod.ts";
import { inboxPages } from "./inbox.ts";
import { indexPage } from "./index_page.ts";
import { errorPage } from "./layout.ts";
import { mailPreview } from "../../lib/mail_preview.ts";
import { mailReporter } from "./mail_reports.ts";
import { openMailStore } from "./mail_store.ts";
import { resendStandIn } from "./resend.ts";
import { fileResponse, htmlResponse } from "./responses.ts";
import type { Pages, WebOptions } from "./site.ts";
import { browserModule, staticFile } from "./static_files.ts";
import { storePage } from "./store_page.ts";

/** A running site. */
export interface WebSite {
  url: string;
  port: number;
  stop(): Promise<void>;
}

const ASSETS = new URL("./assets/", import.meta.url);
const STORE = new URL("./store/", import.meta.url);
/** What the store shares with the functions. */
const MONEY = new URL("../../../supabase/functions/_shared/stripe/money.ts", import.meta.url);

/** Who scripts/local/platform.sql lets in as staff. */
const DEMO_STAFF = { email: "admin@example.com", password: "demo-password" };

function storePages(options: WebOptions): Pages {
  return async (_request, url) => {
    const path = url.pathname.slice("/store".length).replace(/^\//, "");
    const image = /^images\/([a-z0-9-]+)\.svg$/.exec(path);
    if (image?.[1] !== undefined) {
      const picture = illustration(image[1], url.searchParams.get("color") ?? "");
      return picture === null ? null : fileResponse(picture, "image/svg+xml; charset=utf-8");
    }
    if (path === "shared/money.js") return await browserModule(MONEY);
    return path.includes(".") ? await staticFile(STORE, path) : storePage(path, options);
  };
}

function reporterOf({ apiUrl, mailWebhookSecret }: WebOptions) {
  if (mailWebhookSecret === undefined) return undefined;
  return mailReporter(`${apiUrl}/functions/v1/mail-webhook`, mailWebhookSecret);
}

function serve(options: WebOptions, port: number, handle: (request: Request) => Promise<Response>) {
  try {
    return Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, handle);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new Error(
      `Port ${options.port} is in use. Stop what listens there, or set LOCAL_WEB_PORT to a free port.`,
    );
  }
}

/** Starts the site on 127.0.0.1. Fails with a message that names the fix when the port is taken. */
export async function startWeb(options: WebOptions): Promise<WebSite> {
  const mails = await openMailStore(`${options.dir}/mails`);
  const database = openDatabase(options.dbUrl);
  const inbox = inboxPages(mails, mailPreview(database));
  const staffConsole = consoleSite({ ...options, demo: DEMO_STAFF });
  const routes: readonly (readonly [string, Pages])[] = [
    ["/assets", (_request, url) => staticFile(ASSETS, url.pathname.slice("/assets/".length))],
    ["/store", storePages(options)],
    ["/inbox", inbox],
    ["/inbox.json", inbox],
    [CONSOLE_PATH, (_request, url) => staffConsole(url)],
    ["/resend", resendStandIn(mails, reporterOf(options))],
  ];

  async function handle(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const refusal = refusalOf(request);
    if (refusal !== null) return htmlResponse(errorPage("Refused", refusal), { status: 403 });
    const route = routes.find(([prefix]) => url.pathname === prefix || url.pathname.startsWith(`${prefix}/`));
    try {
      if (url.pathname === "/") return htmlResponse(await indexPage(options, mails));
      const response = route === undefined ? null : await route[1](request, url);
      if (response !== null) return response;
      return htmlResponse(errorPage("Not found", `There is nothing at ${url.pathname}.`), { status: 404 });
    } catch (error) {
      console.error(error);
      const message = error instanceof Error ? error.message : String(error);
      return htmlResponse(errorPage("Something went wrong", message), { status: 500 });
    }
  }

  const server = serve(options, options.port, handle);
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    port: server.addr.port,
    stop: async () => {
      await server.shutdown();
      await database.end({ timeout: 1 });
    },
  };
}
