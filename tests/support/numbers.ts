/** Numbers as people write them, made at random from a seed: cards that are none, and what must not be taken for one. */

/** Random whole numbers below `max`, the same for the same seed. */
export function randomBelow(seed: number): (max: number) => number {
  let state = seed;
  return (max) => (state = state * 48_271 % 2_147_483_647) % max;
}

type Random = (max: number) => number;

/** `count` random digits. */
export function digits(random: Random, count: number): string {
  return Array.from({ length: count }, () => random(10)).join("");
}

/** Prefixes and lengths of real networks; the numbers made of them belong to nobody. */
const networks: [string, number][] = [
  ["4", 16],
  ["4", 19],
  ["51", 16],
  ["5599", 16],
  ["2221", 16],
  ["2720", 16],
  ["34", 15],
  ["37", 15],
  ["300", 14],
  ["36", 14],
  ["3528", 16],
  ["3589", 16],
  ["6011", 16],
  ["65", 16],
  ["62", 16],
  ["62", 19],
  ["2204", 16],
  ["6759", 18],
];

/** A number that passes for one of a card. */
export function cardNumber(random: Random): string {
  const [prefix, length] = networks[random(networks.length)] ?? ["4", 16];
  const start = prefix + digits(random, length - prefix.length - 1);
  return start + String(checkDigit(start));
}

/** The last digit that makes a number pass Luhn's check. */
function checkDigit(start: string): number {
  const sum = [...start].reverse().reduce((whole, character, index) => {
    const doubled = Number(character) * (index % 2 === 0 ? 2 : 1);
    return whole + (doubled > 9 ? doubled - 9 : doubled);
  }, 0);
  return (10 - sum % 10) % 10;
}

/** A card number with gaps as on the card. */
export function spaced(number: string, gap = " "): string {
  const groups = number.length === 15 || number.length === 14
    ? [number.slice(0, 4), number.slice(4, 10), number.slice(10)]
    : number.match(/.{1,4}/g) ?? [];
  return groups.join(gap);
}

const pick = <T>(random: Random, values: readonly T[], other: T): T => values[random(values.length)] ?? other;

/** Carriers' formats, as they write them. */
const trackings: ((random: Random) => string)[] = [
  (random) => `1Z${digits(random, 16)}`,
  (random) => `1Z ${digits(random, 3)} 999 ${digits(random, 2)} ${digits(random, 4)} ${digits(random, 4)}`,
  (random) => `T${digits(random, 10)}`,
  (random) => digits(random, 12),
  (random) => spaced(digits(random, 12)),
  (random) => `96${digits(random, 18)}`,
  (random) => `${pick(random, ["92", "93", "94", "95"], "94")}${digits(random, 20)}`,
  (random) => spaced(`${pick(random, ["92", "93", "94", "95"], "94")}${digits(random, 20)}`),
  (random) => spaced(`420${digits(random, 5)}9400${digits(random, 18)}`),
  (random) => digits(random, 10),
  (random) => `003404${digits(random, 14)}`,
  (random) => spaced(`003404${digits(random, 14)}`, "."),
  (random) => `JJD0${digits(random, 17)}`,
  (random) => `RR${digits(random, 9)}${pick(random, ["GB", "DE", "US"], "GB")}`,
  (random) => `${pick(random, ["0", "1"], "0")}${digits(random, 13)}`,
  (random) => digits(random, 11),
  (random) => `TBA${digits(random, 12)}`,
  (random) => `${pick(random, ["7", "8"], "7")}${digits(random, 15)}`,
];

/** Country codes and the lengths of the national part. */
const plans: [string, number, number][] = [
  ["1", 10, 10],
  ["44", 10, 10],
  ["49", 9, 11],
  ["33", 9, 9],
  ["39", 9, 10],
  ["34", 9, 9],
  ["36", 8, 9],
  ["48", 9, 9],
  ["52", 10, 10],
  ["55", 10, 11],
  ["62", 9, 11],
  ["81", 9, 10],
  ["86", 11, 11],
  ["91", 10, 10],
  ["380", 9, 9],
];

/** A phone number in one of the ways in which it is written. */
export function phoneNumber(random: Random): string {
  const [country, least, most] = plans[random(plans.length)] ?? ["1", 10, 10];
  const national = digits(random, least + random(most - least + 1));
  const ways = [
    `+${country}${national}`,
    `+${country} ${spaced(national)}`,
    `+${country} (0) ${spaced(national)}`,
    `00${country}${national}`,
    `00${country} ${spaced(national)}`,
    `${country}${national}`,
    `0${national}`,
    `(${national.slice(0, 3)}) ${national.slice(3, 6)}-${national.slice(6)}`,
    `${national.slice(0, 3)}-${national.slice(3, 6)}-${national.slice(6)} ext. ${digits(random, 4)}`,
  ];
  return pick(random, ways, ways[0] ?? "");
}

/** A carrier's number. */
export function trackingNumber(random: Random): string {
  return pick(random, trackings, (other) => digits(other, 12))(random);
}
