/** A Stripe test number and what paying with it does (https://docs.stripe.com/testing). */
export interface TestCard {
  number: string;
  effect: string;
}

/** The numbers a newcomer tries first; the stand-in knows the rest of Stripe's list too. */
export const TEST_CARDS: readonly TestCard[] = [
  { number: "4242 4242 4242 4242", effect: "Pays" },
  { number: "4000 0000 0000 0002", effect: "Declined" },
  { number: "4000 0000 0000 9995", effect: "Insufficient funds" },
  { number: "4000 0000 0000 0069", effect: "Expired card" },
  { number: "4000 0000 0000 0127", effect: "Wrong CVC" },
  { number: "4000 0027 6000 3184", effect: "Asks for 3D Secure" },
  { number: "4100 0000 0000 0019", effect: "Blocked by Radar" },
  { number: "4000 0000 0000 9235", effect: "Pays, elevated risk" },
  { number: "4000 0000 0000 0259", effect: "Pays, then a fraud dispute" },
  { number: "4000 0000 0000 5423", effect: "Pays, then an early-fraud warning" },
];
