/** The console: who is in, where they are, and the frame around the pages. */
/// <reference lib="dom" />
import { type ComponentChildren, type ComponentType, h, render } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Admission, admit } from "./admission.ts";
import { Backend } from "./backend.ts";
import { words } from "./format.ts";
import { type Desk, DeskProvider } from "./live.ts";
import { AccountPage } from "./pages/account.ts";
import { AlertsPage } from "./pages/alerts.ts";
import { ChartsPage } from "./pages/charts.ts";
import { DisputesPage } from "./pages/disputes.ts";
import { JobsPage } from "./pages/jobs.ts";
import { MailsPage } from "./pages/mails.ts";
import { NowPage } from "./pages/now.ts";
import { OrderPage } from "./pages/order.ts";
import { OrdersPage } from "./pages/orders.ts";
import { RunbookPage } from "./pages/runbook.ts";
import { ArticlePage, StockPage } from "./pages/stock.ts";
import { EventPage, WebhooksPage } from "./pages/webhooks.ts";
import { Problem } from "./parts.ts";
import { linkTo, parseRoute, type Route } from "./route.ts";
import { SignIn, SignOut } from "./sign_in.ts";

interface Page {
  title: string;
  list: ComponentType<{ route: Route }>;
  /** One of the list, by its id, and what it is called. */
  one?: { name: string; page: ComponentType<{ route: Route }> };
}

const PAGES: Readonly<Record<string, Page>> = {
  now: { title: "Now", list: NowPage },
  orders: { title: "Orders", list: OrdersPage, one: { name: "Order", page: OrderPage } },
  webhooks: { title: "Webhooks", list: WebhooksPage, one: { name: "Event", page: EventPage } },
  jobs: { title: "Jobs", list: JobsPage },
  alerts: { title: "Alerts", list: AlertsPage },
  disputes: { title: "Disputes", list: DisputesPage },
  mails: { title: "Mails", list: MailsPage },
  stock: { title: "Stock", list: StockPage, one: { name: "Article", page: ArticlePage } },
  charts: { title: "Charts", list: ChartsPage },
};

/** Between two looks at the figures of the frame. */
const PAUSE_MS = 10_000;

function pageOf(route: Route): { heading: string; page: ComponentType<{ route: Route }> } | null {
  if (route.page === "runbook") return { heading: `Runbook: ${words(route.id)}`, page: RunbookPage };
  if (route.page === "account") return { heading: "Account", page: AccountPage };
  const page = Object.hasOwn(PAGES, route.page) ? PAGES[route.page] : undefined;
  if (page === undefined) return null;
  if (route.id === "") return { heading: page.title, page: page.list };
  return page.one === undefined ? null : { heading: `${page.one.name} ${route.id}`, page: page.one.page };
}

function useRoute(): Route {
  const [route, setRoute] = useState(parseRoute(location.hash));
  useEffect(() => {
    const changed = () => setRoute(parseRoute(location.hash));
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

/** The admission of this tab, looked at anew when `look` is called and every now and then. */
function useAdmission(backend: Backend) {
  const [admission, setAdmission] = useState<Admission | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const look = useCallback(async () => {
    try {
      setAdmission(await admit(backend));
      setProblem(null);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  }, [backend]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let current = true;
    const keep = async () => {
      if (!document.hidden) await look();
      if (current) timer = setTimeout(keep, PAUSE_MS);
    };
    keep();
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [look]);
  return { admission, problem, look };
}

function App({ backend }: { backend: Backend }): ComponentChildren {
  const { admission, problem, look } = useAdmission(backend);
  const route = useRoute();
  if (admission === null) {
    return h(
      "main",
      { class: "door" },
      problem === null ? h("p", null, "Loading…") : h(Problem, { text: problem }),
    );
  }
  if (admission.state !== "in") {
    document.title = "Sign in · Console";
    return h(SignIn, { backend, admission, changed: look });
  }
  return h(Frame, { backend, admission, problem, look, route });
}

function Frame({ backend, admission: { shop, email }, problem, look, route }: {
  backend: Backend;
  admission: Extract<Admission, { state: "in" }>;
  problem: string | null;
  look(): Promise<void>;
  route: Route;
}): ComponentChildren {
  const main = useRef<HTMLElement>(null);
  const [said, setSaid] = useState("");
  const [version, setVersion] = useState(0);
  const refresh = () => {
    setVersion((before) => before + 1);
    look();
  };
  const found = pageOf(route);
  const heading = found?.heading ?? "Not found";
  const place = `${route.page}/${route.id}`;
  const before = useRef(place);
  useEffect(() => {
    document.title = `${heading} · ${shop.name ?? "Console"}`;
    // As after the load of a page: the reader begins at its top.
    if (before.current !== place) {
      scrollTo(0, 0);
      main.current?.focus({ preventScroll: true });
    }
    before.current = place;
  }, [place]);
  const desk: Desk = { backend, shop, announce: setSaid, refresh, version };
  const toMain = (event: Event) => {
    event.preventDefault();
    main.current?.focus();
  };
  return h(
    DeskProvider,
    { value: desk },
    h("a", { class: "skip", href: "#main", onClick: toMain }, "Skip to content"),
    h(
      "header",
      { class: "bar" },
      h("p", { class: "brand" }, h("a", { href: "#/now" }, shop.name ?? "Shop", h("span", null, " console"))),
      h(
        "div",
        { class: "who" },
        h("a", { href: linkTo("account"), title: email }, "Account"),
        h(SignOut, { backend, changed: look }),
      ),
    ),
    h(
      "div",
      { class: "body" },
      h(Navigation, {
        route,
        counts: { alerts: shop.open_alerts, jobs: shop.dead_jobs, webhooks: shop.dead_events },
      }),
      h(
        "main",
        { id: "main", ref: main, tabIndex: -1 },
        h("h1", null, heading),
        problem !== null && h(Problem, { text: problem }),
        h("p", { class: said === "" ? "said empty-said" : "said notice good", role: "status" }, said),
        found === null
          ? h("p", { class: "empty" }, "There is no such page.")
          : h(found.page, { key: place, route }),
      ),
    ),
  );
}

function Navigation({ route, counts }: { route: Route; counts: Record<string, number> }): ComponentChildren {
  const current = route.page === "runbook" ? "alerts" : route.page;
  const strip = useRef<HTMLElement>(null);
  useEffect(() => {
    strip.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [current]);
  return h(
    "nav",
    { ref: strip, "aria-label": "Console" },
    h(
      "ul",
      null,
      Object.entries(PAGES).map(([name, { title }]) => {
        const count = counts[name] ?? 0;
        return h(
          "li",
          { key: name },
          h(
            "a",
            { href: linkTo(name), "aria-current": name === current ? "page" : undefined },
            title,
            count > 0 && h("span", { class: "count" }, count, h("span", { class: "hidden" }, " to see to")),
          ),
        );
      }),
    ),
  );
}

const root = document.querySelector("#app");
if (root === null) throw new Error("the document has no #app");
try {
  render(h(App, { backend: await Backend.open() }), root);
} catch (error) {
  render(h(Problem, { text: error instanceof Error ? error.message : String(error) }), root);
  throw error;
}
