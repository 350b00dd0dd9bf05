import type { Html, Part } from "../../../stand-in/http/html.ts";
import { toolPage } from "../layout.ts";
import { htmlResponse } from "../responses.ts";
import type { Pages, WebOptions } from "../site.ts";
import type { Database } from "./database.ts";
import { alertsBody, deliveriesBody, inventoryBody, queueBody } from "./lists.ts";
import { eventBody, eventsBody } from "./events.ts";
import { orderBody, ordersBody } from "./orders.ts";
import { overviewBody } from "./overview.ts";

const LINKS = [
  { href: "/console", text: "Now" },
  { href: "/console/orders", text: "Orders" },
  { href: "/console/events", text: "Events" },
  { href: "/console/queue", text: "Queue" },
  { href: "/console/alerts", text: "Alerts" },
  { href: "/console/inventory", text: "Inventory" },
  { href: "/console/deliveries", text: "Deliveries" },
];

function page(title: string, path: string, body: Part): Html {
  return toolPage({ title, section: "/console", subLinks: LINKS, path, live: true, body });
}

/** The operations pages under `/console`. They only read, and each shows what it can when parts of the stack are down. */
export function consolePages(database: Database, options: WebOptions): Pages {
  return async (_request, url) => {
    const [area = "", id] = url.pathname.replace(/\/$/, "").split("/").slice(2).map(decodeURIComponent);
    const path = `/console${area === "" ? "" : `/${area}`}`;
    if (id !== undefined) {
      if (area === "orders") {
        const body = await orderBody(database, id);
        return body === null ? null : htmlResponse(page(`Order ${id}`, path, body));
      }
      if (area === "events") {
        const body = await eventBody(database, id);
        return body === null ? null : htmlResponse(page(id, path, body));
      }
      return null;
    }
    switch (area) {
      case "":
        return htmlResponse(page("Console", path, await overviewBody(database, options)));
      case "orders":
        return htmlResponse(page("Orders", path, await ordersBody(database, url)));
      case "events":
        return htmlResponse(page("Webhook events", path, await eventsBody(database, url)));
      case "queue":
        return htmlResponse(page("Queue", path, await queueBody(database, url)));
      case "alerts":
        return htmlResponse(page("Alerts", path, await alertsBody(database, url)));
      case "inventory":
        return htmlResponse(page("Inventory", path, await inventoryBody(database, url)));
      case "deliveries":
        return htmlResponse(page("Webhook deliveries", path, await deliveriesBody(options.stripeUrl, url)));
      default:
        return null;
    }
  };
}
