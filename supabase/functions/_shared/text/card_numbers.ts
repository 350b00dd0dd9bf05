/**
 * Finds card numbers in texts that people type, where they never belong. Issuer prefix, length and check digit must all
 * fit, and the number must stand by itself: ids, phone numbers and tracking numbers stay as they are. Everything that
 * the functions store or log goes through here; `private.mask_cards()` does the same for what staff write, and a test
 * holds the two together.
 */

/**
 * First digits and lengths of the networks in use. Left out are Visa's 13 digits and Maestro's 12 to 15: no such card
 * is issued any more, and phone numbers are that long.
 */
const issued = new RegExp(
  `^(?:${
    [
      "4(?:[0-9]{15}|[0-9]{18})", // Visa
      "(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}", // Mastercard
      "3[47][0-9]{13}", // American Express
      "(?:30[0-5]|309|36[0-9]|3[89][0-9])[0-9]{11}", // Diners Club
      "35(?:2[89]|[3-8][0-9])[0-9]{12}", // JCB
      "(?:6011|64[4-9][0-9]|65[0-9]{2})[0-9]{12}", // Discover
      "62[0-9]{14,17}", // UnionPay
      "(?:220[0-4]|50(?:18|20|38)|5893|6304|6759|676[1-3])[0-9]{12,15}", // Mir, Maestro
    ].join("|")
  })$`,
);

/** What people put between the groups. */
const gap = "[ \\u00a0\\u2009\\u202f./\\u2010-\\u2015-]{1,2}";

/** Most texts have not: they cost nothing. */
const enoughDigits = /(?:[0-9][^0-9]{0,2}){14}/;

/** Not after what the middle of a tracking number or a bank account comes after: a group of four. */
const first = `(?<!(?:^|[^0-9*])[0-9]{4}${gap})(?<![A-Z]{2}[0-9]{2}${gap})`;
const fours = [4, 4, 4, 4].map((count) => `[0-9]{${count}}`).join(gap);

/**
 * How numbers are written, longest first: in fours as on most cards (and not followed by two fours more, as a tracking
 * number is), as on those of American Express and Diners Club, without gaps. Never a part of a word, an id or a longer
 * number; never after a plus, as phone numbers are.
 */
const layouts: readonly RegExp[] = [
  `${first}${fours}${gap}[0-9]{1,3}`,
  `${first}${fours}(?!${gap}[0-9]{4}${gap}[0-9]{4})`,
  `${first}[0-9]{4}${gap}[0-9]{6}${gap}[0-9]{4,5}`,
  `[0-9]{14,19}`,
].map((layout) => new RegExp(`(?<![A-Za-z0-9_+])${layout}(?![A-Za-z0-9_])`, "g"));

/** True for digits that are a card number by prefix, length and check digit. */
export function isCardNumber(digits: string): boolean {
  return issued.test(digits) && passesLuhn(digits);
}

/** The text with every card number reduced to its last four digits. */
export function maskCardNumbers(text: string): string {
  if (!enoughDigits.test(text)) return text;
  return layouts.reduce((masked, layout) =>
    masked.replace(layout, (found) => {
      const digits = found.replace(/\D/g, "");
      return isCardNumber(digits) ? `card_***${digits.slice(-4)}` : found;
    }), text);
}

/** Whether a value of this name is an id of ours or of a provider, and thus nothing that a person has typed. */
export function holdsId(name: string): boolean {
  return /(^|_)(id|sku|order_number)$/.test(name);
}

function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let index = 0; index < digits.length; index++) {
    const digit = Number(digits[digits.length - 1 - index]);
    const doubled = index % 2 === 0 ? digit : digit * 2;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}
