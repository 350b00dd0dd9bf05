/**
 * Outages of half an hour with two hundred honest guests each, and card testers who hide in them. Time is simulated:
 * what has happened is moved into the past, minute by minute. Everything is drawn from seeds.
 */
import { thorough } from "../settlement/runs.ts";
import assert from "node:assert/strict";
import type postgres from "postgres";
import { attachSession, type Begun } from "./cart_support.ts";
import { checkout, decline, payOn, world } from "./velocity_support.ts";

const outageMinutes = 30;
const guestsPerOutage = 200;
/** How many cards testers may learn about before the shop asks for a challenge. */
const cardsMax = 12;
const outageCodes = ["processing_error", "issuer_not_available", "try_again_later", "reenter_transaction"];

type Random = () => number;

function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function pick<T>(random: Random, from: readonly T[]): T {
  const value = from[Math.floor(random() * from.length)];
  if (value === undefined) throw new Error("nothing to pick from");
  return value;
}

/** An address that nobody else has: IPv4, or IPv6 in a /48 of its own. */
function ownAddress(random: Random, at: number): string {
  return random() < 0.5
    ? `100.${64 + Math.floor(at / 250)}.${at % 250}.${1 + Math.floor(random() * 250)}`
    : `2001:db8:${at.toString(16)}:${Math.floor(random() * 65536).toString(16)}::1`;
}

interface Page {
  begun: Begun;
  session: { id: string };
}

async function open(sql: postgres.Sql, ip: string, email: string): Promise<Page | null> {
  const begun = await checkout(sql, { ip, email });
  if (begun.outcome === "velocity_exceeded") return null;
  return { begun, session: await attachSession(sql, begun) };
}

async function isEnded(sql: postgres.Sql, { session }: Page): Promise<boolean> {
  const [row] = await sql<{ ended: boolean }[]>`
    select closing_at is not null as ended from public.checkout_sessions where id = ${session.id}`;
  return row?.ended ?? true;
}

/** An honest guest tries up to three times: most banks are away, some answer, a few say no. */
async function honestGuest(sql: postgres.Sql, random: Random, at: number): Promise<string> {
  const page = await open(sql, ownAddress(random, at), `guest${at}@example.com`);
  if (page === null) return "refused";
  let turnedDown = false;
  for (let attempt = 0; attempt < 3; attempt++) {
    const chance = random();
    if (!turnedDown && await isEnded(sql, page)) return "page ended";
    if (chance < 0.65) await decline(sql, page.begun, `guest-${at}`, pick(random, outageCodes));
    else if (chance < 0.68) {
      turnedDown = true;
      await decline(sql, page.begun, `guest-${at}`, "insufficient_funds");
    } else {
      if (await isEnded(sql, page)) return "sent back";
      await payOn(sql, page.begun, page.session, `guest-${at}`, "succeeded");
      return "paid";
    }
  }
  return "given up";
}

/** Testers with many addresses and mailboxes, some pages open at a time, and a few cards for each. */
class Testers {
  taken = 0;
  #pages: { page: Page; cards: number }[] = [];
  #opened = 0;

  constructor(
    readonly sql: postgres.Sql,
    readonly random: Random,
    readonly pagesAtOnce: number,
    readonly cardsPerPage: number,
  ) {}

  /** One card on the page that has been open for longest, if any page takes one without a challenge. */
  async tryCard(): Promise<void> {
    while (this.#pages.length < this.pagesAtOnce && await this.#open());
    const next = this.#pages.shift();
    if (next === undefined) return;
    if (await isEnded(this.sql, next.page)) return await this.tryCard();
    const code = pick(this.random, ["generic_decline", "incorrect_cvc"]);
    await decline(this.sql, next.page.begun, `stolen-${this.taken++}`, code);
    if (next.cards + 1 < this.cardsPerPage) this.#pages.push({ ...next, cards: next.cards + 1 });
  }

  /** No challenge is passed with a stolen number: a page that asks for one is of no use. */
  async #open(): Promise<boolean> {
    const at = 5_000 + this.#opened++;
    const page = await open(this.sql, ownAddress(this.random, at), `t${at}@example.net`);
    if (page === null || page.begun.three_d_secure === "challenge") return false;
    this.#pages.push({ page, cards: 0 });
    return true;
  }
}

async function minutePasses(sql: postgres.Sql): Promise<void> {
  await sql`update public.orders set created_at = created_at - interval '1 minute'`;
  await sql`update public.payment_attempts set created_at = created_at - interval '1 minute'`;
  await sql`update public.alerts set last_at = last_at - interval '1 minute'`;
}

/** All ten in a thorough run (`CONVERGENCE_RUNS=2000`); each costs as much as a hundred other tests. */
const outages = thorough ? 10 : 3;

for (let seed = 1; seed <= outages; seed++) {
  Deno.test(`outage ${seed}: two hundred honest guests are refused nothing, and testers hidden among them learn of ${cardsMax} cards at most`, async () => {
    await using database = await world();
    const { sql } = database;
    const random = seeded(seed * 7919);
    const attackFrom = 3 + Math.floor(random() * 10);
    const perMinute = 1 + Math.floor(random() * 3);
    const testers = new Testers(sql, random, 1 + seed % 3, 1 + Math.floor(random() * 6));
    const ends: string[] = [];
    let guests = 0;
    for (let minute = 0; minute < outageMinutes; minute++) {
      if (minute === attackFrom) {
        const before =
          await sql`select kind from public.alerts where kind = 'velocity' and severity = 'critical'`;
        assert.deepEqual([...before], [], "an outage is not fraud");
        assert.equal(ends.filter((end) => end === "sent back").length, 0);
      }
      const arrived = Math.floor((guestsPerOutage * (minute + 1)) / outageMinutes);
      const doings = [
        ...Array.from({ length: arrived - guests }, () => "guest" as const),
        ...Array.from({ length: minute >= attackFrom ? perMinute : 0 }, () => "tester" as const),
      ].sort(() => random() - 0.5);
      for (const who of doings) {
        if (who === "tester") await testers.tryCard();
        else ends.push(await honestGuest(sql, random, guests++));
      }
      await minutePasses(sql);
    }

    assert.equal(ends.length, guestsPerOutage);
    assert.deepEqual(ends.filter((end) => end === "refused" || end === "page ended"), []);
    assert.ok(ends.filter((end) => end === "paid").length > guestsPerOutage / 4);
    assert.ok(testers.taken > 0 && testers.taken <= cardsMax, `${testers.taken} cards without a challenge`);
    assert.equal((await open(sql, "192.0.2.1", "last@example.com"))?.begun.three_d_secure, "challenge");
    const alerts = await sql<{ kind: string }[]>`select distinct kind from public.alerts order by kind`;
    assert.deepEqual(alerts.map(({ kind }) => kind), ["payment_outage", "velocity"]);
  });
}

Deno.test("an outage in a quiet shop tells staff, refuses nobody, ends no page and asks nobody for more", async () => {
  await using database = await world();
  const { sql } = database;
  const pages: Page[] = [];
  for (let at = 0; at < 12; at++) {
    const page = await open(sql, `192.0.2.${at}`, `guest${at}@example.com`);
    assert.ok(page !== null, `guest ${at}`);
    for (const code of outageCodes) await decline(sql, page.begun, `card-${at}`, code);
    pages.push(page);
  }
  for (const page of pages) assert.equal(await isEnded(sql, page), false);
  const rows = await sql<{ three_d_secure: string | null; declined: number; outages: number }[]>`
    select distinct three_d_secure, declined_attempts as declined, outage_attempts as outages from public.order_risk`;
  assert.deepEqual(rows.map((row) => ({ ...row })), [{ three_d_secure: null, declined: 0, outages: 4 }]);
  const alerts = await sql<{ kind: string; severity: string }[]>`select kind, severity from public.alerts`;
  assert.deepEqual(alerts.map((alert) => ({ ...alert })), [{ kind: "payment_outage", severity: "critical" }]);
});
