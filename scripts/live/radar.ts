/**
 * `deno task radar`: keeps the value lists that Radar's rules read in step with what this shop knows of confirmed fraud.
 * docs/radar.md has the rules.
 */
import Stripe from "stripe";
import type { FraudValue } from "../../supabase/functions/_shared/database/reconciliation.ts";
import { type Backend, openBackend } from "./backend.ts";
import { runTask } from "../lib/task.ts";
import { TaskError } from "../lib/errors.ts";

const usage = `deno task radar [--dry-run]

  --dry-run   print what would change and change nothing`;

const flags = { "dry-run": { type: "boolean", default: false } } as const;

/** One list for each type of value. What is in them comes from the database alone. */
export const fraudLists = [
  { alias: "shop_fraud_email", name: "Confirmed fraud: e-mail addresses", itemType: "email" },
  { alias: "shop_fraud_card", name: "Confirmed fraud: cards", itemType: "card_fingerprint" },
  { alias: "shop_fraud_ip", name: "Confirmed fraud: network addresses", itemType: "ip_address" },
] as const;

/** How many values a list had, was given and lost. */
export interface ListChange {
  alias: string;
  known: number;
  added: number;
  removed: number;
}

if (import.meta.main) {
  Deno.exit(await runTask({ usage, flags, run: ({ values }) => main(values["dry-run"]) }, Deno.args));
}

async function main(dryRun: boolean): Promise<number> {
  const changes = await syncFraudLists(await openBackend(), { dryRun });
  // Counts alone: the values are personal data, and terminals keep what they show.
  const [adds, removes] = dryRun ? ["would add", "would remove"] : ["added", "removed"];
  for (const { alias, known, added, removed } of changes) {
    console.log(`${alias.padEnd(18)} ${known} there, ${adds} ${added}, ${removes} ${removed}`);
  }
  return 0;
}

/**
 * Brings each list to what the database says: adds what is missing, removes what has been cleared, erased or is too old.
 * Again, or side by side, it changes nothing more.
 * @throws TaskError where the key lacks the permission.
 */
export async function syncFraudLists(
  { rpc, stripe, env }: Pick<Backend, "rpc" | "stripe" | "env">,
  { dryRun }: { dryRun: boolean },
): Promise<ListChange[]> {
  const values = await rpc.getFraudValues(env.livemode);
  const changes: ListChange[] = [];
  for (const list of fraudLists) {
    changes.push(await explained(() => syncList(stripe, list, valuesOf(values, list.itemType), dryRun)));
  }
  return changes;
}

async function syncList(
  stripe: Stripe,
  list: (typeof fraudLists)[number],
  wanted: Set<string>,
  dryRun: boolean,
): Promise<ListChange> {
  const { alias } = list;
  const [found] = (await stripe.radar.valueLists.list({ alias, limit: 1 })).data;
  if (found === undefined && dryRun) return { alias, known: 0, added: wanted.size, removed: 0 };
  const { id } = found ?? await create(stripe, list);
  const present = new Map<string, string>();
  for await (const item of stripe.radar.valueListItems.list({ value_list: id, limit: 100 })) {
    present.set(item.value.toLowerCase(), item.id);
  }
  const missing = [...wanted].filter((value) => !present.has(value.toLowerCase()));
  const lowered = new Set([...wanted].map((value) => value.toLowerCase()));
  const surplus = [...present].filter(([value]) => !lowered.has(value));
  if (!dryRun) {
    for (const value of missing) await addItem(stripe, id, value);
    for (const [, item] of surplus) await removeItem(stripe, item);
  }
  return { alias, known: present.size, added: missing.length, removed: surplus.length };
}

async function create(
  stripe: Stripe,
  { alias, name, itemType }: (typeof fraudLists)[number],
): Promise<Stripe.Radar.ValueList> {
  try {
    return await stripe.radar.valueLists.create({ alias, name, item_type: itemType });
  } catch (error) {
    // Somebody else has just made it.
    const [found] = (await stripe.radar.valueLists.list({ alias, limit: 1 })).data;
    if (found === undefined) throw error;
    return found;
  }
}

async function addItem(stripe: Stripe, list: string, value: string): Promise<void> {
  try {
    await stripe.radar.valueListItems.create({ value_list: list, value });
  } catch (error) {
    const { data } = await stripe.radar.valueListItems.list({ value_list: list, value, limit: 1 });
    if (data.length === 0) throw error;
  }
}

async function removeItem(stripe: Stripe, id: string): Promise<void> {
  try {
    await stripe.radar.valueListItems.del(id);
  } catch (error) {
    // Gone already.
    if (!(error instanceof Stripe.errors.StripeError && error.code === "resource_missing")) throw error;
  }
}

function valuesOf(values: FraudValue[], itemType: string): Set<string> {
  return new Set(values.filter(({ item_type }) => item_type === itemType).map(({ value }) => value));
}

async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Stripe.errors.StripePermissionError) {
      throw new TaskError(
        `Stripe refuses its lists to this key: give it write access to Radar value lists (${error.message})`,
      );
    }
    if (error instanceof Stripe.errors.StripeError) {
      throw new TaskError("The lists are not in step: run it again once this is mended", { cause: error });
    }
    throw error;
  }
}
