import { cartCount, onCartChange } from "./cart.js";
import { el, notice, show } from "./dom.js";
import { messageFor } from "./messages.js";
import { accountPage } from "./pages/account.js";
import { cancelledPage } from "./pages/cancelled.js";
import { cartPage } from "./pages/cart.js";
import { listPage } from "./pages/list.js";
import { payPage } from "./pages/pay.js";
import { productPage } from "./pages/product.js";
import { resumePage } from "./pages/resume.js";
import { orderPage, successPage } from "./pages/success.js";
import { unsubscribePage } from "./pages/unsubscribe.js";
import { currentSession, onSessionChange } from "./session.js";

const PAGES = [
  [/^\/store\/?$/, listPage],
  [/^\/store\/products\/([a-z0-9-]+)\/?$/, productPage],
  [/^\/store\/cart\/?$/, cartPage],
  [/^\/store\/pay\/?$/, payPage],
  [/^\/store\/account\/?$/, accountPage],
  [/^\/store\/success\/?$/, successPage],
  [/^\/store\/cancelled\/?$/, cancelledPage],
  [/^\/store\/order\/?$/, orderPage],
  [/^\/store\/resume\/?$/, resumePage],
  [/^\/store\/unsubscribe\/?$/, unsubscribePage],
];

function showHeader() {
  const count = cartCount();
  const badge = document.querySelector("#cart-count");
  badge.textContent = String(count);
  badge.hidden = count === 0;
  document.querySelector("#cart-link").setAttribute(
    "aria-label",
    `Bag, ${count} ${count === 1 ? "piece" : "pieces"}`,
  );
  document.querySelector("#account-link").textContent = currentSession() === null ? "Sign in" : "My orders";
}

async function route() {
  for (const [pattern, page] of PAGES) {
    const match = pattern.exec(location.pathname);
    if (match === null) continue;
    try {
      await page(...match.slice(1));
    } catch (error) {
      const { title, text, retry } = messageFor(error);
      const again = el("button", { type: "button", onclick: () => location.reload() }, "Try again");
      show(title, notice("error", title, text, ...(retry ? [again] : [])));
      if (error.code === undefined) throw error;
    }
    return;
  }
}

onCartChange(showHeader);
onSessionChange(showHeader);
showHeader();
await route();

// A page that comes back from the browser's memory (back button from the payment page) is drawn anew:
// its stock, bag and buttons may be as they were before the payment.
addEventListener("pageshow", async (event) => {
  if (!event.persisted) return;
  showHeader();
  await route();
});
