/** Card numbers in texts of any origin, told by their last four digits alone. */
import { maskCardNumbers } from "../../../supabase/functions/_shared/text/card_numbers.ts";

/** The card numbers of a text as `card_***1234`, those left out that were masked before. */
export function cardNumbersIn(text: string): string[] {
  const unmasked = text.replaceAll("card_***", "card_");
  const masked = maskCardNumbers(unmasked);
  return masked === unmasked ? [] : masked.match(/card_\*\*\*\d{4}/g) ?? [];
}

/** What the database asks before it sends a row here: as many digits as the shortest card number has, however grouped. */
export const MAYBE_CARD = "([0-9][^0-9]{0,2}){14}";
