import { request } from "../api.js";
import { announce, el, notice, show } from "../dom.js";
import { messageForLink } from "../messages.js";

/** Where the link of a reminder leads. Nothing happens until its reader asks for it: mail scanners come here too. */
export function unsubscribePage() {
  const token = new URLSearchParams(location.search).get("token") ?? "";
  const answer = el("div", {});
  const button = el(
    "button",
    { type: "button", id: "unsubscribe", class: "button primary", onclick: unsubscribe },
    "No more reminders",
  );
  show(
    "Reminders",
    el(
      "article",
      { class: "order" },
      el("h1", {}, "No more reminders?"),
      el("p", { class: "description" }, "We will still write about what you order."),
      answer,
      el(
        "p",
        { class: "notice-actions" },
        button,
        el("a", { class: "button", href: "/store" }, "To the shop"),
      ),
    ),
  );

  async function unsubscribe() {
    button.disabled = true;
    try {
      await request(`/functions/v1/unsubscribe?token=${encodeURIComponent(token)}`, {
        method: "POST",
        body: new URLSearchParams({ "List-Unsubscribe": "One-Click" }),
      });
      announce("You get no more reminders");
      answer.replaceChildren(notice("info", "Done", "You get no more reminders."));
      button.remove();
    } catch (error) {
      const { title, text, retry } = messageForLink(error);
      answer.replaceChildren(notice("error", title, text));
      if (retry) button.disabled = false;
      else button.remove();
      if (error.code === undefined) throw error;
    }
  }
}
