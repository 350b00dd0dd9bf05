import { readAll } from "../api.js";
import { announce, el, notice, show } from "../dom.js";
import { FULFILLMENT_WORDS, messageFor, shownStatus, STATUS_WORDS } from "../messages.js";
import { formatMoney } from "../money.js";
import {
  accessToken,
  currentSession,
  sendConfirmationAgain,
  signIn,
  signOut,
  signUp,
  takeLink,
} from "../session.js";

function field(id, label, properties) {
  return el(
    "p",
    { class: "field" },
    el("label", { for: id }, label),
    el("input", { id, name: id, required: true, ...properties }),
  );
}

/** A form of e-mail and password; `send` gets both, `draw` draws the page with a message. */
function credentialsForm({ button, busy, password, send, draw }) {
  const submit = async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    const pressed = form.querySelector("button");
    if (pressed.getAttribute("aria-disabled") === "true") return;
    pressed.setAttribute("aria-disabled", "true");
    pressed.textContent = busy;
    const email = form.elements.email.value.trim();
    try {
      await send(email, form.elements.password.value);
    } catch (error) {
      if (error.code === undefined) throw error;
      if (error.code === "email_not_confirmed") return confirmationPage(email);
      const { title, text } = problemOf(error);
      draw(notice("error", title, text));
      document.querySelector("#email").value = email;
      document.querySelector("#password").focus();
    }
  };
  return el(
    "form",
    { class: "form", method: "post", onsubmit: submit },
    field("email", "E-mail", { type: "email", autocomplete: "username" }),
    field("password", "Password", { type: "password", ...password }),
    el("button", { class: "primary wide" }, button),
  );
}

function problemOf(error) {
  if (error.code === "weak_password") {
    return { title: "This password is too short", text: "Please choose a longer one." };
  }
  if (error.code === "user_already_exists") {
    return { title: "This address has an account", text: "Please sign in instead." };
  }
  if (error.code === "validation_failed") {
    return { title: "This is no e-mail address", text: "Please check it and try again." };
  }
  const refused = error.status === 400 || error.status === 401 || error.status === 422;
  return refused
    ? { title: "E-mail or password is wrong", text: "Please check both and try again." }
    : messageFor(error);
}

function accountForm(title, text, message, ...parts) {
  show(
    title,
    el(
      "article",
      { class: "order" },
      el("h1", {}, title),
      el("p", { class: "description" }, text),
      el("div", { id: "message" }, message),
      ...parts,
    ),
  );
}

function signInForm(message = null) {
  accountForm(
    "Sign in",
    "See your orders, and check out faster next time. You can also buy as a guest.",
    message,
    credentialsForm({
      button: "Sign in",
      busy: "Signing in…",
      password: { autocomplete: "current-password" },
      draw: signInForm,
      send: async (email, password) => {
        await signIn(email, password);
        location.reload();
      },
    }),
    el(
      "p",
      { class: "other-form" },
      el("span", { class: "soft" }, "New here?"),
      el(
        "button",
        { type: "button", id: "create", class: "plain", onclick: () => signUpForm() },
        "Create an account",
      ),
    ),
    el("p", { class: "soft small" }, "Demo account: shopper@example.com with the password demo-password."),
  );
}

function signUpForm(message = null) {
  accountForm(
    "Create an account",
    "We will send you a mail with a link. Once you have opened it, orders that you placed with this address show here too.",
    message,
    credentialsForm({
      button: "Create account",
      busy: "Creating the account…",
      password: { autocomplete: "new-password", minlength: 6 },
      draw: signUpForm,
      send: async (email, password) => {
        if (await signUp(email, password)) location.reload();
        else confirmationPage(email);
      },
    }),
    el(
      "p",
      { class: "other-form" },
      el("span", { class: "soft" }, "Have an account?"),
      el("button", { type: "button", class: "plain", onclick: () => signInForm() }, "Sign in"),
    ),
  );
  document.querySelector("#email").focus();
}

/** Until the link of the mail is opened nobody can sign in: whoever typed the address may not own it. */
function confirmationPage(email, message = null) {
  const again = async () => {
    try {
      await sendConfirmationAgain(email);
      confirmationPage(
        email,
        notice("info", "Sent again", "The link of the newest mail is the one that works."),
      );
    } catch (error) {
      if (error.code === undefined) throw error;
      const { title, text } = messageFor(error);
      confirmationPage(email, notice("error", title, text));
    }
  };
  accountForm(
    "Please confirm your address",
    `We have sent a mail to ${email}. Open its link, and you are signed in.`,
    message,
    el(
      "p",
      { class: "notice-actions" },
      // The demo store's mails go nowhere else.
      el("a", { class: "button primary", href: "/inbox", target: "_blank" }, "Open the inbox"),
      el("button", { type: "button", id: "again", onclick: again }, "Send it again"),
    ),
    el("p", { class: "soft small" }, "Demo store: mails arrive in the inbox of this machine."),
  );
  announce("Please confirm your address");
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
      ...order.items.filter((item) => item.quantity > 0).map((item) =>
        el("li", {}, `${item.quantity} × ${item.name}`)
      ),
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
  const problem = await takeLink();
  const token = await accessToken();
  const expired = notice(
    "error",
    "This link does not work any more",
    "Sign in, and we will send you a new one.",
  );
  if (token === null) return signInForm(problem === null ? null : expired);
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
