// @ts-check
/// <reference lib="dom" />
import { expiryOf } from "./card_format.js";
import { activeInputs, bindFields, inputOf, problemWith, showProblem, valueOf } from "./form_fields.js";

const session = document.body.dataset.session ?? "";
const base = `/c/pay/${session}`;
const form = /** @type {HTMLFormElement} */ (document.getElementById("checkout"));
const button = /** @type {HTMLButtonElement} */ (form.querySelector("button.pay"));
const message = /** @type {HTMLElement} */ (document.getElementById("message"));
const challenge = /** @type {HTMLDialogElement} */ (document.getElementById("challenge"));
const challengeFrame = /** @type {HTMLIFrameElement} */ (challenge.querySelector("iframe"));

/** The session has been paid or has expired meanwhile. */
const NOT_OPEN = "checkout_session_not_open";
const UNREACHABLE = "We could not reach the payment server. Please try again: you will not be charged twice.";

/** Settles when every change of the cart has been answered. */
let changes = Promise.resolve();

/** @param {"busy" | "done" | "idle"} state */
function setState(state) {
  button.dataset.state = state;
  button.setAttribute("aria-disabled", String(state !== "idle"));
  form.setAttribute("aria-busy", String(state === "busy"));
}

/** @param {{ message: string, field: string | null }} problem */
function refuse(problem) {
  setState("idle");
  message.textContent = problem.message;
  if (problem.field !== null) {
    showProblem(problem.field, problem.message);
    document.getElementById(problem.field)?.focus();
  } else {
    message.scrollIntoView({ block: "nearest" });
  }
}

/** @param {string} path
 * @param {object} body */
async function post(path, body) {
  const response = await fetch(`${base}/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { ok: response.ok, answer: await response.json() };
}

/** Only what was filled in.
 * @param {Record<string, string>} values */
function filled(values) {
  const entries = Object.entries(values).filter(([, value]) => value !== "");
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** @param {"billing" | "shipping"} prefix */
function addressOf(prefix) {
  if (document.getElementById(`${prefix}_country`) === null) return undefined;
  return filled({
    country: valueOf(`${prefix}_country`),
    line1: valueOf(`${prefix}_line1`),
    line2: valueOf(`${prefix}_line2`),
    city: valueOf(`${prefix}_city`),
    state: valueOf(`${prefix}_state`),
    postal_code: valueOf(`${prefix}_postal_code`),
  });
}

function methodOf() {
  const chosen = form.querySelector('input[name="method"]:checked');
  if (chosen instanceof HTMLInputElement) return chosen.value;
  const panel = form.querySelector("[data-method-panel]");
  return panel instanceof HTMLElement ? panel.dataset.methodPanel ?? "card" : "card";
}

/** The saved card that was chosen, or "" for new details. */
function savedOf() {
  const chosen = form.querySelector('input[name="method"]:checked');
  return chosen instanceof HTMLInputElement ? chosen.dataset.saved ?? "" : "";
}

/** @param {string} name */
function isChecked(name) {
  const box = form.querySelector(`input[name="${name}"]`);
  return box instanceof HTMLInputElement && box.checked;
}

/** What the server needs to take the payment. */
function confirmation() {
  const method = methodOf();
  const shipping = addressOf("shipping");
  const sameAddress = shipping !== undefined && isChecked("billing_same");
  const expiry = expiryOf(valueOf("card_expiry"));
  const name = method === "card" ? valueOf("name") : valueOf(`${method}_name`);
  const free = form.querySelector("[data-payment]")?.hasAttribute("hidden") === true;
  return {
    method,
    email: valueOf("email"),
    ...filled({ name, phone: valueOf("phone"), shipping_name: valueOf("shipping_name") }),
    ...filled({ saved_method: savedOf(), currency: valueOf("currency") }),
    ...filled({ business_name: valueOf("business_name") }),
    ...(valueOf("tax_id") === ""
      ? {}
      : { tax_id: { type: valueOf("tax_id_type"), value: valueOf("tax_id") } }),
    ...(method === "card" && !free && savedOf() === ""
      ? {
        card: {
          number: valueOf("card_number"),
          exp_month: expiry?.month ?? 0,
          exp_year: expiry?.year ?? 0,
          cvc: valueOf("card_cvc"),
        },
      }
      : {}),
    ...(method === "sepa_debit" ? filled({ iban: valueOf("iban") }) : {}),
    ...(method === "us_bank_account" ? filled({ account_number: valueOf("account_number") }) : {}),
    billing_address: sameAddress ? shipping : addressOf("billing") ?? shipping,
    shipping_address: shipping,
    terms: isChecked("terms"),
    promotions: isChecked("promotions"),
    save: isChecked("save"),
  };
}

function firstProblem() {
  let first = null;
  for (const input of activeInputs()) {
    const problem = problemWith(input);
    showProblem(input.id, problem);
    if (problem !== null && first === null) first = input;
  }
  return first;
}

/** On the shop's own page, Stripe.js around the frame goes on: to an address, or not at all.
 * @param {string | null} url */
function finish(url) {
  setState("done");
  if ("embedded" in document.body.dataset) {
    globalThis.parent.postMessage({ kind: "checkout-complete", session, redirect: url }, "*");
  } else if (url !== null) {
    globalThis.location.assign(url);
  }
}

/** To a bank or wallet: those want a whole window, also from a frame.
 * @param {string} url */
function leave(url) {
  if ("embedded" in document.body.dataset) {
    globalThis.parent.postMessage({ kind: "checkout-redirect", session, url }, "*");
  } else globalThis.location.assign(url);
}

/** Stripe.js makes the frame as high as what it holds. */
function tellHeight() {
  const height = document.documentElement.offsetHeight;
  globalThis.parent.postMessage({ kind: "checkout-height", session, height }, "*");
}

if ("embedded" in document.body.dataset) new ResizeObserver(tellHeight).observe(document.documentElement);

async function submit() {
  if (button.dataset.state !== "idle") return;
  message.textContent = "";
  const wrong = firstProblem();
  if (wrong !== null) {
    wrong.focus();
    return;
  }
  setState("busy");
  // What is charged is what the page shows: a change that is still under way comes first.
  await changes;
  if (message.textContent !== "") return setState("idle");
  try {
    const { ok, answer } = await post("confirm", confirmation());
    // An answer that got lost on its way here may have paid: the session knows.
    if (answer.error?.code === NOT_OPEN) await followState(() => answer.error);
    else if (!ok) refuse(answer.error);
    else if (answer.redirect_url !== undefined) leave(answer.redirect_url);
    else if (answer.status === "requires_action") openChallenge(answer.challenge_url);
    else finish(answer.redirect);
  } catch {
    refuse({ message: UNREACHABLE, field: null });
  }
}

/** Shows the bank's page once it is there: until then the frame holds that of an earlier attempt, whose buttons
 * would vanish under the shopper's hand.
 * @param {string} url */
function openChallenge(url) {
  challengeFrame.addEventListener("load", () => {
    challenge.returnValue = "";
    challenge.showModal();
    if ("embedded" in document.body.dataset) placeByButton();
  }, { once: true });
  challengeFrame.src = url;
}

/** A frame as high as the form has no middle that a shopper sees: the dialog goes where they have just pressed. */
function placeByButton() {
  const top = Math.max(16, button.getBoundingClientRect().bottom - challenge.offsetHeight);
  challenge.style.cssText = `position: absolute; inset-block: ${top}px auto; margin-block: 0`;
  challenge.scrollIntoView({ block: "nearest" });
}

/** Said by the bank's page in the frame when it is done. */
const ENDED = "challenge-ended";

globalThis.addEventListener("message", (event) => {
  if (event.origin === globalThis.location.origin && event.data === ENDED) challenge.close(ENDED);
});

// Keys pressed inside the frame do not reach this page by themselves.
challengeFrame.addEventListener("load", () => {
  challengeFrame.contentWindow?.addEventListener("keydown", (event) => {
    if (event.key === "Escape") challenge.close();
  });
});

// Also when it was cancelled: the bank may have had its answer just before.
challenge.addEventListener("close", () => {
  const ended = challenge.returnValue === ENDED;
  void followState(({ error }) =>
    ended
      ? error ?? { message: "Your payment could not be verified. Please try again.", field: null }
      : { message: "The verification was cancelled. You have not been charged.", field: null }
  );
});

/** @typedef {{ message: string, field: string | null }} Problem */

/** Goes where the session stands by now; `otherwise` is said when it can still be paid.
 * @param {(state: { error: Problem | null }) => Problem} otherwise */
async function followState(otherwise) {
  try {
    const response = await fetch(`${base}/state`);
    const state = await response.json();
    if (state.status === "complete") finish(state.redirect);
    else if (state.status === "expired") globalThis.location.reload();
    else refuse(otherwise(state));
  } catch {
    refuse({ message: UNREACHABLE, field: null });
  }
}

/** Sends a change of the cart after those before it and shows what it made of the order; answers what was wrong.
 * @param {object} change
 * @returns {Promise<{ message: string } | null>} */
function update(change) {
  const answered = changes.then(() => send(change));
  changes = answered.then(() => {});
  return answered;
}

/** @param {object} change
 * @returns {Promise<{ message: string } | null>} */
async function send(change) {
  try {
    const { ok, answer } = await post("update", change);
    if (ok) showOrder(answer);
    else if (answer.error.code === NOT_OPEN) await followState(() => answer.error);
    return ok ? null : answer.error;
  } catch {
    return { message: UNREACHABLE };
  }
}

/** @param {{ summary: string, total: string, pay_label: string, free: boolean }} answer */
function showOrder(answer) {
  const summary = document.getElementById("summary");
  const open = document.querySelector("[data-summary]")?.hasAttribute("open");
  const before = inputOf("promotion");
  // Asked before the input goes: who is typing into it goes on where they are.
  const typing = before !== null && before === document.activeElement;
  const caret = before?.selectionStart ?? null;
  if (summary !== null) summary.innerHTML = answer.summary;
  if (open === true) document.querySelector("[data-summary]")?.setAttribute("open", "");
  fitSummary();
  const promotion = inputOf("promotion");
  if (promotion !== null) {
    promotion.value = before?.value ?? "";
    if (typing) {
      promotion.focus({ preventScroll: true });
      promotion.setSelectionRange(caret, caret);
    }
  }
  const total = document.querySelector("[data-total]");
  if (total !== null) total.textContent = answer.total;
  const label = button.querySelector(".pay-label");
  if (label !== null) label.textContent = answer.pay_label;
  form.querySelector("[data-payment]")?.toggleAttribute("hidden", answer.free);
}

/** The shipping rate that the order has, which is not the one on the page while a change is refused. */
let rate = chosenRate();

function chosenRate() {
  const chosen = form.querySelector('input[name="shipping_rate"]:checked');
  return chosen instanceof HTMLInputElement ? chosen : null;
}

async function changeRate() {
  const chosen = chosenRate();
  if (chosen === null) return;
  const problem = await update({ shipping_rate: chosen.value });
  if (problem === null) {
    rate = chosen;
    message.textContent = "";
    return;
  }
  message.textContent = problem.message;
  if (rate !== null) rate.checked = true;
}

function bindCart() {
  const summary = document.getElementById("summary");
  summary?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const problem = await update({ promotion_code: valueOf("promotion") || "?" });
    if (problem === null) summary.querySelector("button")?.focus();
    else showProblem("promotion", problem.message);
  });
  summary?.addEventListener("change", async (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || input.dataset.line === undefined) return;
    const problem = await update({ line: input.dataset.line, quantity: input.value });
    message.textContent = problem === null ? "" : problem.message;
    if (problem !== null) input.value = input.defaultValue;
  });
  summary?.addEventListener("click", async (event) => {
    if (!(event.target instanceof Element) || event.target.closest("[data-remove-promotion]") === null) {
      return;
    }
    const problem = await update({ remove_promotion: true });
    if (problem === null) inputOf("promotion")?.focus();
    else message.textContent = problem.message;
  });
  for (const choice of form.querySelectorAll('input[name="shipping_rate"]')) {
    choice.addEventListener("change", () => void changeRate());
  }
  for (const name of ["shipping_country", "shipping_postal_code", "shipping_state"]) {
    document.getElementById(name)?.addEventListener("change", async () => {
      const problem = await update({ shipping_address: addressOf("shipping") });
      message.textContent = problem?.message ?? "";
    });
  }
}

function bindMethods() {
  const show = () => {
    const method = methodOf();
    for (const panel of form.querySelectorAll("[data-method-panel]")) {
      if (panel instanceof HTMLElement) {
        panel.hidden = panel.dataset.methodPanel !== method || (method === "card" && savedOf() !== "");
      }
    }
    const save = form.querySelector("[data-save]");
    if (save instanceof HTMLElement) save.hidden = method !== "card" || savedOf() !== "";
  };
  for (const choice of form.querySelectorAll('input[name="method"]')) choice.addEventListener("change", show);
  show();
  const same = form.querySelector('input[name="billing_same"]');
  same?.addEventListener("change", () => {
    const billing = form.querySelector("[data-billing]");
    if (billing instanceof HTMLElement) billing.hidden = isChecked("billing_same");
  });
}

/** Addresses read differently in each country. */
function bindCountries() {
  for (const prefix of ["billing", "shipping"]) {
    const country = document.getElementById(`${prefix}_country`);
    const relabel = () => {
      const american = valueOf(`${prefix}_country`) === "US";
      const postal = document.querySelector(`label[for="${prefix}_postal_code"]`);
      if (postal !== null) postal.textContent = american ? "ZIP code" : "Postal code";
    };
    country?.addEventListener("change", relabel);
    relabel();
  }
}

/** The order's lines are open on wide screens and folded on narrow ones. */
function fitSummary() {
  const details = document.querySelector("[data-summary]");
  if (globalThis.matchMedia("(min-width: 900px)").matches) details?.setAttribute("open", "");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void submit();
});
// A page that comes back from the browser's history must not look busy for ever.
globalThis.addEventListener("pageshow", (event) => {
  if (event.persisted) globalThis.location.reload();
});
bindFields();
bindCart();
bindMethods();
bindCountries();
fitSummary();
if (valueOf("email") === "") inputOf("email")?.focus({ preventScroll: true });

/** A picture that cannot be loaded gives way to what stands for a product without one. */
for (const picture of document.querySelectorAll("img[data-initials]")) {
  if (!(picture instanceof HTMLImageElement)) continue;
  picture.decode().catch(() => {
    const letters = document.createElement("span");
    letters.className = picture.className;
    letters.ariaHidden = "true";
    letters.textContent = picture.dataset.initials ?? "";
    picture.replaceWith(letters);
  });
}
