import assert from "node:assert/strict";
import {
  addressBucket,
  addressBuckets,
  clientAddress,
  normalizeAddress,
  shopperAddress,
} from "../../supabase/functions/_shared/http/client_ip.ts";

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

Deno.test("addressBuckets() counts an IPv6 address by /64, /56 and /48, each allowed more than the one before", () => {
  assert.deepEqual(addressBuckets("2001:db8:1:a23:3:4:5:6"), [
    { key: "2001:db8:1:a23::/64", factor: 1 },
    { key: "2001:db8:1:a00::/56", factor: 1.5 },
    { key: "2001:db8:1::/48", factor: 3 },
  ]);
  assert.deepEqual(addressBuckets("::1").map(({ key }) => key), [
    "0:0:0:0::/64",
    "0:0:0:0::/56",
    "0:0:0::/48",
  ]);
  assert.deepEqual(addressBuckets("203.0.113.7"), [{ key: "203.0.113.7", factor: 1 }]);
  assert.deepEqual(addressBuckets(null), [{ key: "unknown", factor: 1 }]);
  const home = Array.from({ length: 256 }, (_, at) => `2001:db8:77:${(0xa00 + at).toString(16)}::1`);
  const [narrow, connection, company] = [0, 1, 2].map((width) =>
    new Set(home.map((address) => addressBuckets(address)[width]?.key)).size
  );
  assert.deepEqual([narrow, connection, company], [256, 1, 1]);
});

Deno.test("addressBucket() joins an IPv6 /56 and keeps IPv4 addresses apart", () => {
  assert.equal(addressBucket("2001:db8:1:2:3:4:5:6"), "2001:db8:1:0::/56");
  assert.equal(addressBucket("2001:db8::1"), addressBucket("2001:db8::ffff:1"));
  assert.equal(addressBucket("2001:db8:0:1::1"), addressBucket("2001:db8::1"));
  assert.equal(addressBucket("2001:db8:1:a2ff::1"), addressBucket("2001:db8:1:a201:3:4:5:6"));
  assert.notEqual(addressBucket("2001:db8:1:a2ff::1"), addressBucket("2001:db8:1:a3ff::1"));
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
