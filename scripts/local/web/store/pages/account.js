import { readAll } from "../api.js";
import { el, notice, show } from "../dom.js";
import { FULFILLMENT_WORDS, messageFor, shownStatus, STATUS_WORDS } from "../messages.js";
import { formatMoney } from "../money.js";
import { accessToken, currentSession, signIn, signOut } from "../session.js";

function field(id, label, properties) {
  return el(
    "p",
    { class: "field" },
    el("label", { for: id }, label),
    el("input", { id, name: id, required: true, ...properties }),
  );
}

function signInForm(message = null) {
  const submit = async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    const button = form.querySelector("button");
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    button.textContent = "Signing in…";
    const email = form.elements.email.value.trim();
    try {
      await signIn(email, form.elements.password.value);
      location.reload();
    } catch (error) {
      if (error.code === undefined) throw error;
      const refused = error.status === 400 || error.status === 401 || error.status === 422;
      const { title, text } = refused
        ? { title: "E-mail or password is wrong", text: "Please check both and try again." }
        : messageFor(error);
      signInForm(notice("error", title, text));
      document.querySelector("#email").value = email;
      document.querySelector("#password").focus();
    }
  };
  show(
    "Sign in",
    el(
      "article",
      { class: "order" },
      el("h1", {}, "Sign in"),
      el(
        "p",
        { class: "description" },
        "See your orders, and check out faster next time. You can also buy as a guest.",
      ),
      el("div", { id: "message" }, message),
      el(
        "form",
        { class: "form", method: "post", onsubmit: submit },
        field("email", "E-mail", { type: "email", autocomplete: "username" }),
        field("password", "Password", { type: "password", autocomplete: "current-password" }),
        el("button", { class: "primary wide" }, "Sign in"),
      ),
      el("p", { class: "soft small" }, "Demo account: shopper@example.com with the password demo-password."),
    ),
  );
}

async function loadOrders(token) {
  const orders = await readAll(
    "/rest/v1/orders?select=id,number,status,fulfillment_status,currency,amount_total,amount_refunded,created_at," +
      "items:order_items(sku,name,quantity)",
    { token },
  );
  return orders.sort((a, b) => new Date(b.created_at) - new Date(a.created_at));
}

function orderCard(order) {
  const status = shownStatus(order);
  const shipped = order.status === "paid" || order.status === "partially_refunded";
  return el(
    "li",
    { class: "card", "data-order": order.number },
    el(
      "p",
      { class: "row" },
      el("b", {}, `Order ${order.number}`),
      el("span", { class: `state state-${status}` }, STATUS_WORDS[status] ?? status),
    ),
    el(
      "ul",
      { class: "card-items" },
      ...order.items.map((item) => el("li", {}, `${item.quantity} × ${item.name}`)),
    ),
    el(
      "p",
      { class: "row soft" },
      el(
        "span",
        {},
        `${new Date(order.created_at).toLocaleDateString(undefined, { dateStyle: "long" })}${
          shipped ? ` · ${FULFILLMENT_WORDS[order.fulfillment_status] ?? order.fulfillment_status}` : ""
        }`,
      ),
      el("b", {}, formatMoney(order.amount_total, order.currency)),
    ),
    order.amount_refunded > 0
      ? el("p", { class: "soft small" }, `Refunded: ${formatMoney(order.amount_refunded, order.currency)}`)
      : null,
  );
}

/** Sign in, or the orders of who is signed in. */
export async function accountPage() {
  const token = await accessToken();
  if (token === null) return signInForm();
  let orders;
  try {
    orders = await loadOrders(token);
  } catch (error) {
    if (error.status !== 401) throw error;
    await signOut();
    return signInForm(notice("info", "Please sign in again", "Your session has ended."));
  }
  const leave = async () => {
    await signOut();
    location.reload();
  };
  show(
    "My orders",
    el(
      "div",
      { class: "account" },
      el("h1", {}, "My orders"),
      el(
        "p",
        { class: "row soft" },
        el("span", {}, `Signed in as ${currentSession().email}`),
        el("button", { type: "button", class: "plain", onclick: leave }, "Sign out"),
      ),
      orders.length === 0
        ? notice(
          "info",
          "No orders yet",
          null,
          el("a", { class: "button", href: "/store" }, "Go to the shop"),
        )
        : el("ul", { class: "card-list", "aria-label": "Orders" }, ...orders.map(orderCard)),
    ),
  );
}
