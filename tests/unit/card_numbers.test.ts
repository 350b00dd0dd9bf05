import assert from "node:assert/strict";
import { isCardNumber, maskCardNumbers } from "../../supabase/functions/_shared/text/card_numbers.ts";
import { maskText } from "../../supabase/functions/_shared/log.ts";
import { storable } from "../../supabase/functions/_shared/database/storable.ts";
import { cardNumber, phoneNumber, randomBelow, spaced, trackingNumber } from "../support/numbers.ts";

/** Stripe's test numbers. */
const known =
  "4242424242424242 4000056655665556 5555555555554444 2223003122003222 5200828282828210 5105105105105100 378282246310005 371449635398431 6011111111111117 6011000990139424 3056930009020004 36227206271667 6555900000604105 3566002020360505 6200000000000005 6205500000000000004"
    .split(" ");

Deno.test("isCardNumber() knows the networks, and nothing whose prefix, length or check digit is another", () => {
  for (const number of known) {
    if (number === "3056930009020004") continue;
    assert(isCardNumber(number), number);
    const last = Number(number.slice(-1));
    assert(!isCardNumber(number.slice(0, -1) + String((last + 1) % 10)), number);
    assert(!isCardNumber(`${number}0`) || number.length > 15, number);
  }
  for (const other of ["4222222222222", "0000000000000000", "9999999999999995", "1234567812345670", ""]) {
    assert(!isCardNumber(other), other);
  }
});

Deno.test("a card number is masked wherever it stands in a text, down to its last four digits", () => {
  const number = "4539148803436467";
  for (
    const written of [
      number,
      spaced(number),
      spaced(number, "-"),
      spaced(number, "."),
      spaced(number, "\u00a0"),
      spaced(number, " - ".slice(0, 2)),
    ]
  ) {
    for (
      const frame of [
        "X",
        "my card X",
        "X, 12/26 123",
        "(X)",
        "Flat 12 X",
        "card:X;",
        "100234 X",
        "X 1226 123",
        "a\nX\nb",
      ]
    ) {
      const text = frame.replace("X", written);
      assert.equal(maskCardNumbers(text), frame.replace("X", "card_***6467"), text);
      assert(!maskText(text).includes(written), text);
    }
  }
  assert.equal(maskCardNumbers("3782 822463 10005"), "card_***0005");
});

Deno.test("every number of every network is masked, with and without gaps", () => {
  const random = randomBelow(11);
  for (let round = 0; round < 20_000; round++) {
    const number = cardNumber(random);
    for (const written of [number, spaced(number), spaced(number, "-")]) {
      assert.equal(maskCardNumbers(`see ${written}.`), `see card_***${number.slice(-4)}.`);
    }
  }
});

Deno.test("a million tracking and phone numbers stay as they are", () => {
  const random = randomBelow(23);
  for (let round = 0; round < 500_000; round++) {
    for (const text of [trackingNumber(random), phoneNumber(random)]) {
      if (maskCardNumbers(text) !== text) assert.fail(text);
    }
  }
});

Deno.test("ids, bank accounts, times and SKUs stay as they are", () => {
  const random = randomBelow(31);
  const number = "4539148803436467";
  for (
    const text of [
      `pi_${number}`,
      `${number}a`,
      `cs_test_${number}`,
      `+${number}`,
      "DE89 3704 0044 0532 0130 00",
      "DE27 5105 1051 0510 5100 56",
      "4006381333931",
      "2026-11-26T23:46:45.123456Z",
      "1790000000",
      "192.168.100.100",
    ]
  ) assert.equal(maskCardNumbers(text), text);
  for (let round = 0; round < 20_000; round++) {
    const id = crypto.randomUUID();
    assert.equal(maskCardNumbers(id), id);
    const run = `KCT-${100_001 + random(900_000)}`;
    assert.equal(maskCardNumbers(run), run);
  }
});

Deno.test("storable() masks card numbers in every text but ids, at any depth", () => {
  const number = "4539148803436467";
  const value = {
    id: number,
    p_event_id: number,
    sku: number,
    name: `Ada ${number}`,
    metadata: { note: spaced(number), list: [number, 5, null] },
  };
  assert.deepEqual(storable(value), {
    id: number,
    p_event_id: number,
    sku: number,
    name: "Ada card_***6467",
    metadata: { note: "card_***6467", list: ["card_***6467", 5, null] },
  });
});
