import assert from "node:assert/strict";
import {
  addressBucket,
  clientAddress,
  normalizeAddress,
  shopperAddress,
} from "../../supabase/functions/_shared/client_ip.ts";

const spellings: [string, string | null][] = [
  ["203.0.113.7", "203.0.113.7"],
  [" 203.0.113.7 ", "203.0.113.7"],
  ["203.0.113.7:443", "203.0.113.7"],
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["[2001:db8::1]:8080", "2001:db8::1"],
  ["[2001:db8::1]", "2001:db8::1"],
  ["::ffff:203.0.113.7", "203.0.113.7"],
  ["::ffff:cb00:7107", "203.0.113.7"],
  ["::1", "::1"],
  ["203.0.113.007", null],
  ["256.1.1.1", null],
  ["1.2.3", null],
  ["0x7f.0.0.1", null],
  ["unknown", null],
  ["", null],
  ["fe80::1%eth0", null],
  [":::", null],
  ["203.0.113.7, 1.2.3.4", null],
  ["<script>", null],
  ["1".repeat(200), null],
];

for (const [input, expected] of spellings) {
  Deno.test(`normalizeAddress() makes ${JSON.stringify(input.slice(0, 40))} ${expected}`, () => {
    assert.equal(normalizeAddress(input), expected);
  });
}

Deno.test("clientAddress() prefers cf-connecting-ip", () => {
  const headers = new Headers({ "cf-connecting-ip": "203.0.113.7", "x-forwarded-for": "198.51.100.1" });
  assert.equal(clientAddress(headers), "203.0.113.7");
});

Deno.test("clientAddress() takes the rightmost valid hop, so that a forged leftmost entry gains nothing", () => {
  const headers = new Headers({ "x-forwarded-for": "3.18.12.63, 198.51.100.1, junk" });
  assert.equal(clientAddress(headers), "198.51.100.1");
});

Deno.test("clientAddress() falls back to x-forwarded-for when cf-connecting-ip is junk", () => {
  const headers = new Headers({ "cf-connecting-ip": "junk", "x-forwarded-for": "198.51.100.1" });
  assert.equal(clientAddress(headers), "198.51.100.1");
});

Deno.test("clientAddress() is null without a usable header", () => {
  assert.equal(clientAddress(new Headers()), null);
  assert.equal(clientAddress(new Headers({ "x-forwarded-for": "a, b, ," })), null);
});

Deno.test("addressBucket() joins an IPv6 /64 and keeps IPv4 addresses apart", () => {
  assert.equal(addressBucket("2001:db8:1:2:3:4:5:6"), "2001:db8:1:0::/56");
  assert.equal(addressBucket("2001:db8:1:a2ff::1"), addressBucket("2001:db8:1:a201:3:4:5:6"));
  assert.notEqual(addressBucket("2001:db8:1:a2ff::1"), addressBucket("2001:db8:1:a3ff::1"));
  assert.equal(addressBucket("2001:db8::1"), addressBucket("2001:db8::ffff:1"));
  assert.notEqual(addressBucket("2001:db8:0:100::1"), addressBucket("2001:db8::1"));
  assert.notEqual(addressBucket("203.0.113.7"), addressBucket("203.0.113.8"));
  assert.equal(addressBucket(null), "unknown");
});

Deno.test("shopperAddress() believes a passed address only with the secret key", () => {
  for (const name of ["x-shopper-ip", "sb-forwarded-for"]) {
    const headers = new Headers({ "cf-connecting-ip": "203.0.113.7", [name]: " 2001:DB8::1 " });
    assert.equal(shopperAddress(headers, true), "2001:db8::1");
    assert.equal(shopperAddress(headers, false), "203.0.113.7");
  }
});

Deno.test("shopperAddress() is the server's own where it passes none, and refuses what is no address", () => {
  assert.equal(
    shopperAddress(new Headers({ "cf-connecting-ip": "203.0.113.7", "x-shopper-ip": " " }), true),
    "203.0.113.7",
  );
  for (const junk of ["unknown", "203.0.113.7, 198.51.100.1", "203.0.113.256"]) {
    const headers = new Headers({ "cf-connecting-ip": "203.0.113.7", "x-shopper-ip": junk });
    assert.throws(() => shopperAddress(headers, true), { code: "invalid_request" });
    assert.equal(shopperAddress(headers, false), "203.0.113.7");
  }
});
