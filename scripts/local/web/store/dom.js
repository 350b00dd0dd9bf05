/**
 * Makes an element. Properties named `on…` become listeners, `class`, `aria-…`, `data-…` and the like become
 * attributes, true writes an empty attribute, false and null write none. Children are elements or text;
 * text is never parsed as markup.
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** Shows a page: sets the title, fills the main part and tells assistive technology that it is ready. */
export function show(title, ...content) {
  const main = document.querySelector("#main");
  document.title = `${title} · KCT Menswear`;
  main.replaceChildren(...content.flat().filter((child) => child !== null && child !== undefined));
  if (main.querySelector("h1") === null) main.prepend(el("h1", { class: "visually-hidden" }, title));
  main.removeAttribute("aria-busy");
}

/**
 * Has a screen reader say what has changed. Pages are drawn anew at each change, and only an element that was there
 * before is listened to.
 */
export function announce(text) {
  document.querySelector("#announcement").textContent = text;
}

/** A message box; `tone` is "error" (announced at once) or "info". */
export function notice(tone, title, text = null, ...actions) {
  return el(
    "div",
    { class: `notice ${tone}`, role: tone === "error" ? "alert" : null },
    el("p", { class: "notice-title" }, title),
    text === null ? null : el("p", {}, text),
    actions.length > 0 ? el("p", { class: "notice-actions" }, ...actions) : null,
  );
}
