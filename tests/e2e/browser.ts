import { type Browser, chromium, type Page } from "playwright-core";

/** Debian's headless shell first: the same engine without the window that nobody sees, at half the work. */
const PLACES = [
  "/usr/bin/chromium-headless-shell",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Generous, since the machine may be busy; a page that works answers in a fraction of it. */
const TIMEOUT_MS = 20_000;

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** The Chromium to test with: `CHROMIUM_PATH`, or where systems usually have it; null when there is none. */
function findChromium(): string | null {
  const given = Deno.env.get("CHROMIUM_PATH");
  if (given !== undefined) return exists(given) ? given : null;
  return PLACES.find(exists) ?? null;
}

/**
 * True when browser tests have to be left out, with the reason printed. In CI a missing browser is no reason: the
 * tests run and fail.
 */
export function withoutBrowser(): boolean {
  if (findChromium() !== null || Deno.env.get("CI") === "true") return false;
  console.log("Browser tests are skipped: no Chromium. Install it, or set CHROMIUM_PATH to one.");
  return true;
}

/** A browser, and pages that each are a shopper of their own and remember what went wrong in them. */
export class TestBrowser implements AsyncDisposable {
  /** Uncaught errors and blocked content of all pages. */
  readonly problems: string[] = [];

  private constructor(private readonly browser: Browser) {}

  static async launch(): Promise<TestBrowser> {
    const executablePath = findChromium();
    if (executablePath === null) throw new Error("no Chromium: install it, or set CHROMIUM_PATH to one");
    return new TestBrowser(await chromium.launch({ executablePath, args: FLAGS }));
  }

  /** A fresh profile with one page, `width` pixels wide. */
  async newShopper(width = 1280): Promise<Page> {
    const context = await this.browser.newContext({
      viewport: { width, height: 900 },
      locale: "en-US",
      timezoneId: "UTC",
    });
    context.setDefaultTimeout(TIMEOUT_MS);
    const page = await context.newPage();
    page.on("pageerror", (error) => this.problems.push(`${page.url()}: ${error.message}`));
    page.on("console", (message) => {
      const text = message.text();
      // An answer of 409 or 503 is what some tests are about; the store turns it into words.
      if (message.type() === "error" && !text.startsWith("Failed to load resource")) {
        this.problems.push(`${page.url()}: ${text}`);
      }
    });
    return page;
  }

  /** Sends all shoppers home: pages that were left open would go on asking for news. */
  async closePages(): Promise<void> {
    await Promise.all(this.browser.contexts().map((context) => context.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser.close();
  }
}
