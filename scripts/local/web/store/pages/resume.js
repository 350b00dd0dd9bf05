import { reopenCheckout } from "../checkout.js";
import { announce, el, notice, show } from "../dom.js";
import { messageForLink } from "../messages.js";

/**
 * Where the link of a mail leads once the payment page has ended. Nothing happens until the shopper asks for it: only
 * then are the pieces held again.
 */
export function resumePage() {
  const token = new URLSearchParams(location.search).get("token") ?? "";
  const answer = el("div", {});
  const button = el(
    "button",
    { type: "button", id: "reopen", class: "button primary", onclick: reopen },
    "Go on to payment",
  );
  show(
    "Your order",
    el(
      "article",
      { class: "order" },
      el("h1", {}, "Your order is still waiting"),
      el(
        "p",
        { class: "description" },
        "The payment page has closed and you have not been charged. You can go on, at today's prices, as long as everything is in stock.",
      ),
      answer,
      el(
        "p",
        { class: "notice-actions" },
        button,
        el("a", { class: "button", href: "/store" }, "Continue shopping"),
      ),
    ),
  );

  async function reopen() {
    button.disabled = true;
    announce("Opening the payment page");
    try {
      location.assign(await reopenCheckout(token));
    } catch (error) {
      const { title, text, retry } = messageForLink(error);
      answer.replaceChildren(notice("error", title, text));
      if (retry) button.disabled = false;
      else button.remove();
      if (error.code === undefined) throw error;
    }
  }
}
