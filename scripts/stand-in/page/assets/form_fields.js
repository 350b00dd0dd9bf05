// @ts-check
/// <reference lib="dom" />
import {
  brandOf,
  codeLengthOf,
  codeProblem,
  expiryProblem,
  formatExpiry,
  formatNumber,
  numberProblem,
} from "./card_format.js";

/** The form's inputs: formatting while typing, and what is wrong with each. */

/** @param {string} name
 * @returns {HTMLInputElement | null} */
export function inputOf(name) {
  const element = document.getElementById(name);
  return element instanceof HTMLInputElement ? element : null;
}

/** What was typed, without the space around it; "" when there is no such field.
 * @param {string} name */
export function valueOf(name) {
  const element = document.getElementById(name);
  if (element instanceof HTMLInputElement || element instanceof HTMLSelectElement) {
    return element.value.trim();
  }
  return "";
}

/** Shows or clears a field's message.
 * @param {string} name
 * @param {string | null} problem */
export function showProblem(name, problem) {
  const input = document.getElementById(name);
  const place = document.getElementById(`${name}-error`);
  if (place !== null) place.textContent = problem ?? "";
  if (problem === null) input?.removeAttribute("aria-invalid");
  else input?.setAttribute("aria-invalid", "true");
}

/** @param {string} text */
function digitsOf(text) {
  return text.replace(/\D/g, "");
}

/** Keeps an input in the form it is printed in, with the caret behind the digit it was behind.
 * @param {HTMLInputElement} input
 * @param {(value: string, deleting: boolean) => string} format */
function formatAsTyped(input, format) {
  let digits = digitsOf(input.value);
  input.addEventListener("input", (event) => {
    const deletion = event instanceof InputEvent && event.inputType.startsWith("delete")
      ? event.inputType
      : null;
    const caret = input.selectionStart ?? input.value.length;
    const atEnd = caret === input.value.length;
    let before = digitsOf(input.value.slice(0, caret)).length;
    let typed = input.value;
    // Only the space between two groups went: what was meant is the digit beside it.
    if (deletion !== null && digitsOf(typed) === digits) {
      if (deletion.endsWith("Backward")) before = Math.max(0, before - 1);
      typed = digits.slice(0, before) + digits.slice(before + 1);
    }
    input.value = format(typed, deletion !== null);
    digits = digitsOf(input.value);
    if (atEnd) return;
    // Put the caret back behind the digit it stood behind.
    let position = 0;
    for (let seen = 0; seen < before && position < input.value.length; position++) {
      if (/\d/.test(input.value[position] ?? "")) seen++;
    }
    input.setSelectionRange(position, position);
  });
}

/** What is wrong with a field, or null.
 * @param {HTMLInputElement} input */
export function problemWith(input) {
  const value = input.value.trim();
  if (input.id === "card_number") return numberProblem(value);
  if (input.id === "card_expiry") return expiryProblem(value, new Date());
  if (input.id === "card_cvc") return codeProblem(value, brandOf(digitsOf(valueOf("card_number"))));
  if (input.id === "terms") return input.checked ? null : "You must accept the terms of service to continue.";
  if (!input.required) return null;
  if (value === "") return "Required";
  if (input.type === "email" && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(value)) return "Your email is invalid.";
  return null;
}

/** The inputs that count now: hidden parts of the form do not.
 * @returns {HTMLInputElement[]} */
export function activeInputs() {
  return [...document.querySelectorAll("#checkout input[id]")].filter((element) =>
    element instanceof HTMLInputElement
  )
    .filter((input) => input.closest("[hidden]") === null);
}

/** Binds formatting and validation to the form's inputs. */
export function bindFields() {
  const number = inputOf("card_number");
  if (number !== null) {
    formatAsTyped(number, formatNumber);
    number.addEventListener("input", () => {
      const brand = document.querySelector(".brand");
      if (brand instanceof HTMLElement) brand.dataset.brand = brandOf(digitsOf(number.value));
    });
  }
  const expiry = inputOf("card_expiry");
  if (expiry !== null) formatAsTyped(expiry, formatExpiry);
  const code = inputOf("card_cvc");
  if (code !== null) {
    formatAsTyped(code, (value) => {
      const brand = brandOf(digitsOf(valueOf("card_number")));
      return digitsOf(value).slice(0, brand === "unknown" ? 4 : codeLengthOf(brand));
    });
  }

  for (const input of document.querySelectorAll("#checkout input[id]")) {
    if (!(input instanceof HTMLInputElement)) continue;
    input.addEventListener("blur", (event) => {
      // A message that pushes the button away while it is being pressed would swallow the click; submitting checks all.
      if (event.relatedTarget instanceof HTMLButtonElement) return;
      // An empty field that was only passed through is no mistake yet.
      if (input.value !== "" && input.type !== "checkbox") showProblem(input.id, problemWith(input));
    });
    input.addEventListener("input", () => {
      if (input.getAttribute("aria-invalid") === "true" && problemWith(input) === null) {
        showProblem(input.id, null);
      }
    });
  }
}
