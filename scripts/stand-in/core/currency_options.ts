/** What a price, a shipping rate or a coupon costs in currencies beside its own. */
import type { Context } from "./context.ts";
import { invalidRequest } from "./errors.ts";
import { currency, type Field } from "./fields.ts";
import type { ByCurrency, CurrencyOption } from "./records.ts";

/** A map of currencies to what holds in each. */
export function byCurrency<T>(item: Field<T>): Field<ByCurrency<T>> {
  return {
    read(node, context) {
      if (typeof node === "string" || Array.isArray(node)) {
        throw invalidRequest("Invalid object", context.path);
      }
      return Object.fromEntries(
        Object.entries(node).map(([name, member]) => {
          const inner = { ...context, path: `${context.path}[${name}]` };
          return [currency.read(name, inner), item.read(member, inner)];
        }),
      );
    },
  };
}

/** What an object costs in a currency that is not its own; undefined where it has none. */
export function optionOf(context: Context, id: string, wanted: string): CurrencyOption | undefined {
  return context.store.internals("currency_options", id)?.[wanted];
}

/** Adds to what an object costs in other currencies. */
export function addOptions(context: Context, id: string, options: ByCurrency<CurrencyOption>): void {
  context.store.setInternals("currency_options", id, {
    ...context.store.internals("currency_options", id),
    ...options,
  });
}

/** The object's amounts in all its currencies, its own among them, as `show` writes each. */
export function shownOptions<T>(
  context: Context,
  id: string,
  own: { currency: string } & CurrencyOption,
  show: (option: CurrencyOption) => T,
): ByCurrency<T> {
  const { currency: name, ...option } = own;
  const all = { [name]: option, ...context.store.internals("currency_options", id) };
  return Object.fromEntries(Object.entries(all).map(([code, one]) => [code, show(one)]));
}
