/** Goods: what each order has taken from the shelf, and what is left there. */
import type { Actors } from "./actors.ts";
import type { Finding, Known } from "./account_books.ts";
import type { Shop } from "./shop.ts";

const rule = "the shelf holds what the world counts";

/** Each order has what it was sold and did not bring back; of each article there is what staff put there, less that. */
export async function goodsOf(shop: Shop, actors: Actors, known: Known[]): Promise<Finding[]> {
  const moved = await shop.ask((sql) =>
    sql<{ order_id: string; sku: string; pieces: number }[]>`
      select j.order_id, v.sku, -sum(j.change)::integer as pieces
      from public.inventory_journal j join public.product_variants v on v.id = j.variant_id
      where j.order_id is not null group by 1, 2`
  );
  const taken = new Map(moved.map(({ order_id, sku, pieces }) => [`${order_id} ${sku}`, pieces]));
  return [
    ...known.flatMap((order) =>
      (actors.carts.get(order.booked.id) ?? []).flatMap(({ sku, quantity }) => {
        const { least, most } = kept(order, sku, quantity);
        const has = taken.get(`${order.booked.id} ${sku}`) ?? 0;
        const { number, status } = order.booked;
        return has >= least && has <= most
          ? []
          : [{ rule, detail: { number, status, sku, has, least, most, told: order.told } }];
      })
    ),
    ...await shelf(shop, actors, moved),
  ];
}

/** How many pieces of a line an order has in the end. */
function kept(order: Known, sku: string, quantity: number): { least: number; most: number } {
  const { booked, told, refunds, received, payments, disputed, byItself } = order;
  const none = { least: 0, most: 0 };
  if (received === 0 || booked.oversold || (booked.cancelled && !booked.shipped && !disputed)) return none;
  const succeeded = (id: string) =>
    refunds.some(({ metadata, status }) => metadata["refund_request_id"] === id && status === "succeeded");
  // Of an amount there is no telling which goods it is about.
  const ofAll = told.filter(({ name, args }) =>
    name === "request_refund" && args["p_restock"] === true && args["p_amount"] === null
  );
  if (payments.length === 1 && ofAll.some(({ id }) => succeeded(id))) return none;
  // What the shop gives back by itself, or the bank, moves goods by rules that are not repeated here.
  if (ofAll.length > 0 || booked.cancelled || disputed || byItself) return { least: 0, most: quantity };
  const back = told.filter(({ args }) => isAbout(args["p_lines"], sku));
  const arrived = back.filter(({ name }) => name === "receive_return").length;
  const paidFor = back.filter(({ name }) => name === "request_refund");
  const certain = arrived + paidFor.filter(({ id }) => succeeded(id)).length;
  return { least: Math.max(0, quantity - arrived - paidFor.length), most: Math.max(0, quantity - certain) };
}

function isAbout(lines: unknown, sku: string): boolean {
  return Array.isArray(lines) && lines.some((line) => line.sku === sku);
}

async function shelf(
  shop: Shop,
  { done, opening }: Actors,
  moved: readonly { sku: string; pieces: number }[],
): Promise<Finding[]> {
  const levels = await shop.ask((sql) =>
    sql<{ sku: string; on_hand: number; reserved: number }[]>`
      select v.sku, l.on_hand::integer as on_hand, l.reserved::integer as reserved
      from public.inventory_levels l join public.product_variants v on v.id = l.variant_id order by v.sku`
  );
  return levels.flatMap((level) => {
    const put = (opening.get(level.sku) ?? 0) + done
      .filter(({ name, args }) => name === "adjust_inventory" && args["p_sku"] === level.sku)
      .reduce((sum, { args }) => sum + Number(args["p_delta"]), 0);
    const out = moved.filter(({ sku }) => sku === level.sku).reduce((sum, { pieces }) => sum + pieces, 0);
    return level.on_hand === put - out && level.reserved === 0
      ? []
      : [{ rule, detail: { ...level, put, out } }];
  });
}
