/** Stripe's events made from the fixtures, and the moves that bring them into the database. */
import type Stripe from "stripe";
import type { CheckoutSessionFact, Fact } from "../../../supabase/functions/_shared/stripe_events/facts.ts";
import { translate } from "../../../supabase/functions/_shared/stripe_events/mod.ts";

/** One call into the database that a search may put anywhere. */
export type Move =
  | {
    call: "event";
    id: string;
    type: string;
    livemode: boolean;
    at: number;
    facts: Fact[];
    version?: string;
    /** What is stored of it, where a later event looks it up. */
    payload?: Json;
  }
  | { call: "read"; at: number; facts: Fact[] }
  | { call: "attach"; order_id: string; attempt: number; fact: CheckoutSessionFact }
  | { call: "settle"; order_id: string }
  | { call: "cancel"; order_number: string };

/** A JSON object. */
export type Json = Record<string, unknown>;

const fixtures = new Map<string, Json>();
for await (const entry of Deno.readDir(new URL("../../fixtures/events/", import.meta.url))) {
  const text = await Deno.readTextFile(new URL(`../../fixtures/events/${entry.name}`, import.meta.url));
  fixtures.set(entry.name.replace(/\.json$/, ""), JSON.parse(text));
}

/** A copy of an event of the fixtures whose object has `changes` laid over it. */
export function eventOf(type: string, id: string, at: number, changes: Json): Stripe.Event {
  const fixture = fixtures.get(type);
  if (fixture === undefined) throw new Error(`no fixture of ${type}`);
  const event = structuredClone(fixture) as { data: { object: Json } };
  overlay(event.data.object, changes);
  return { ...event, id, created: at } as unknown as Stripe.Event;
}

function overlay(target: Json, changes: Json): void {
  for (const [key, value] of Object.entries(changes)) {
    const old = target[key];
    if (isObject(value) && isObject(old)) overlay(old, value);
    else target[key] = value;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The move that delivers an event, translated by the code that runs in production. */
export function delivery(event: Stripe.Event): Move {
  const translation = translate(event);
  if (translation.kind === "ignored") throw new Error(`${event.id} ${event.type}: ${translation.reason}`);
  return {
    call: "event",
    id: event.id,
    type: event.type,
    livemode: event.livemode,
    at: event.created,
    facts: translation.facts,
    ...(event.type.startsWith("customer.") ? { payload: { data: { object: event.data.object } } } : {}),
  };
}
