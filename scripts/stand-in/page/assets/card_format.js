// @ts-check
/** What can be said about a card number while it is typed, without asking anybody. */

/** @typedef {"amex" | "diners" | "discover" | "jcb" | "mastercard" | "unionpay" | "unknown" | "visa"} Brand */

/** @type {readonly [RegExp, Brand][]} */
const PREFIXES = [
  [/^4/, "visa"],
  [/^(5[1-5]|2(22[1-9]|2[3-9]|[3-6]|7[01]|720))/, "mastercard"],
  [/^3[47]/, "amex"],
  [/^(6011|65|64[4-9])/, "discover"],
  [/^(36|30[0-5]|3[89])/, "diners"],
  [/^35/, "jcb"],
  [/^62/, "unionpay"],
];

/** The brand that a number's first digits belong to.
 * @param {string} digits
 * @returns {Brand} */
export function brandOf(digits) {
  return PREFIXES.find(([prefix]) => prefix.test(digits))?.[1] ?? "unknown";
}

/** How many digits numbers of a brand have.
 * @param {Brand} brand */
export function lengthsOf(brand) {
  if (brand === "amex") return [15];
  if (brand === "diners") return [14, 16];
  return brand === "unionpay" ? [16, 17, 18, 19] : [16];
}

/** Digits in the groups they are printed in.
 * @param {string} typed */
export function formatNumber(typed) {
  const digits = typed.replace(/\D/g, "").slice(0, 19);
  const brand = brandOf(digits);
  const most = Math.max(...lengthsOf(brand));
  const kept = digits.slice(0, most);
  const groups = brand === "amex" || (brand === "diners" && kept.length <= 14)
    ? [kept.slice(0, 4), kept.slice(4, 10), kept.slice(10)]
    : kept.match(/.{1,4}/g) ?? [];
  return groups.filter((group) => group !== "").join(" ");
}

/** The check digit of a card number.
 * @param {string} digits */
export function passesLuhn(digits) {
  let sum = 0;
  for (let index = 0; index < digits.length; index++) {
    const digit = Number(digits[digits.length - 1 - index]);
    const value = index % 2 === 0 ? digit : digit * 2;
    sum += value > 9 ? value - 9 : value;
  }
  return sum % 10 === 0;
}

/** What is wrong with a card number, or null.
 * @param {string} typed */
export function numberProblem(typed) {
  const digits = typed.replace(/\D/g, "");
  const lengths = lengthsOf(brandOf(digits));
  if (digits === "") return "Your card number is required.";
  if (digits.length < Math.min(...lengths)) return "Your card number is incomplete.";
  return passesLuhn(digits) && lengths.includes(digits.length) ? null : "Your card number is invalid.";
}

/** "MM / YY" from whatever was typed or filled in ("1230", "12/2030", "1 / 30").
 * @param {string} typed
 * @param {boolean} deleting */
export function formatExpiry(typed, deleting) {
  const [monthPart = "", yearPart] = typed.split("/").map((part) => part.replace(/\D/g, ""));
  let digits = yearPart === undefined
    ? monthPart
    : (monthPart.length === 1 ? `0${monthPart}` : monthPart) + yearPart;
  if (digits.length === 1 && digits > "1") digits = `0${digits}`;
  if (digits.length === 6 && digits.slice(2, 4) === "20") digits = digits.slice(0, 2) + digits.slice(4);
  // "20" is the beginning of a year that is typed in full.
  digits = digits.slice(0, digits.slice(2, 4) === "20" ? 5 : 4);
  if (digits.length < 2 || (digits.length === 2 && deleting)) return digits;
  return `${digits.slice(0, 2)} / ${digits.slice(2)}`;
}

/** Month and year of "MM / YY", or null while it is incomplete.
 * @param {string} text */
export function expiryOf(text) {
  const match = /^(\d{2}) \/ (\d{2})$/.exec(text);
  return match === null ? null : { month: Number(match[1]), year: 2000 + Number(match[2]) };
}

/** What is wrong with an expiry date, or null.
 * @param {string} text
 * @param {Date} now */
export function expiryProblem(text, now) {
  const expiry = expiryOf(text);
  if (expiry === null) return "Your card's expiration date is incomplete.";
  if (expiry.month < 1 || expiry.month > 12) return "Your card's expiration date is invalid.";
  if (expiry.year < now.getFullYear()) return "Your card's expiration year is in the past.";
  if (expiry.year === now.getFullYear() && expiry.month < now.getMonth() + 1) {
    return "Your card's expiration date is in the past.";
  }
  return null;
}

/** How many digits the security code of a brand has.
 * @param {Brand} brand */
export function codeLengthOf(brand) {
  return brand === "amex" ? 4 : 3;
}

/** What is wrong with a security code, or null.
 * @param {string} code
 * @param {Brand} brand */
export function codeProblem(code, brand) {
  const wanted = codeLengthOf(brand);
  if (code.length < wanted) return "Your card's security code is incomplete.";
  return code.length === wanted ? null : "Your card's security code is invalid.";
}
