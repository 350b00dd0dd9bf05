import { METHOD_TYPES } from "../payments/foreign_methods.ts";
import { BASIL, isBefore } from "./api_version.ts";
import { invalidRequest, unsupported } from "./errors.ts";
import type { FormMap } from "./form.ts";
import type { Store } from "./store.ts";

/** Properties that appear only when asked for: object name and property, and how to make the value. */
export type Includable = Record<string, (id: string) => unknown>;

const DEEPEST = 4;

/** What may be empty and is expandable all the same: where it is filled, it is an object or the id of one. */
const EXPANDABLE = new Set(
  `account account_tax_ids adaptive_pricing address after_expiration amount_details application application_fee applies_to
  automatic_payment_methods balance_transaction cancellation_policy cash_balance charge collected_information
  consent consent_collection coupon currency_conversion currency_options custom_unit_amount customer
  customer_communication customer_details customer_signature default_payment_method default_price default_source
  delivery_estimate destination discount discounts duplicate_charge_documentation failure_balance_transaction
  fraud_details generated_from generated_sepa_debit generated_sepa_debit_mandate invoice ip_address_location
  last_payment_error latest_attempt latest_charge mandate managed_payments next_action on_behalf_of original_payout
  outcome package_dimensions payment_intent payment_link payment_method payment_method_configuration_details
  payment_method_options permissions presentment_details processing product promotion_code radar_options receipt
  recurring refund_policy review reversed_by rule saved_payment_method_options service_documentation session
  setup_attempt setup_intent shipping shipping_address_collection shipping_cost shipping_documentation shipping_rate
  single_use_mandate source source_transfer source_transfer_reversal subscription tax tax_code tax_id_collection
  test_clock three_d_secure total_details transfer transfer_data transfer_reversal transform_quantity
  uncategorized_file wallet wallet_options`.split(/\s+/),
);

/** The `expand[]` paths of a request. */
export function expandPaths(form: FormMap): string[] {
  const node = form.expand;
  if (node === undefined) return [];
  if (typeof node === "string") throw invalidRequest("Invalid array", "expand");
  return Object.values(node).map((value) => {
    if (typeof value !== "string") throw invalidRequest("Invalid array", "expand");
    if (value.split(".").length > DEEPEST) {
      throw invalidRequest(
        `You cannot expand more than ${DEEPEST} levels of a property (${value}).`,
        "expand",
      );
    }
    return value;
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Where expanded objects come from. */
export interface Source {
  store: Store;
  includable: Includable;
  /** Throws when the key may not read objects of this name; null: it may read all. */
  mayRead: ((object: unknown) => void) | null;
  /** The API version that is spoken. */
  version: string;
}

/** Replaces ids by the objects they stand for, in place. */
export function expand(target: unknown, paths: readonly string[], source: Source): void {
  for (const path of paths) new Walk(path, source).step(target, path.split("."), null, "");
}

/** What only some objects of a kind have (a card's details on a charge) is no error where it is missing. */
function mayBeMissing(owner: Record<string, unknown>, way: string, goesOn: boolean): boolean {
  if (owner.deleted === true || `${owner.object}.${way}` === "refund.failure_balance_transaction") {
    return true;
  }
  return goesOn && (way.includes(".") || METHOD_TYPES.includes(way));
}

/** A list of ids, or of objects. */
function holdsObjects(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isRecord);
}

/** One path being followed through an object. */
class Walk {
  readonly #path: string;
  readonly #source: Source;

  constructor(path: string, source: Source) {
    this.#path = path;
    this.#source = source;
  }

  /** `owner` is the API object around the target, and `inside` the way from it to the target. */
  step(
    target: unknown,
    [name, ...rest]: string[],
    owner: Record<string, unknown> | null,
    inside: string,
  ): void {
    if (name === undefined || target === null) return;
    if (Array.isArray(target)) {
      for (const item of target) this.step(item, [name, ...rest], owner, inside);
      return;
    }
    if (!isRecord(target)) throw this.#cannot();
    const isObject = typeof target.object === "string" && target.object !== "list";
    const nearest = isObject ? target : owner;
    const way = isObject ? name : `${inside}.${name}`;
    const make = nearest === null ? undefined : this.#source.includable[`${nearest.object}.${way}`];
    if (make !== undefined && nearest !== null && target[name] === undefined) {
      target[name] = make(String(nearest.id));
    }
    const value = target[name];
    if (value === undefined) {
      if (way === "total_count" && target.object === "list" && isBefore(this.#source.version, BASIL)) {
        throw unsupported("the expansion `total_count` of API versions before Basil");
      }
      if (nearest !== null && mayBeMissing(nearest, way, rest.length > 0)) return;
      throw this.#cannot();
    }
    if (typeof value === "string") {
      const object = this.#source.store.find(value, name);
      if (object === undefined) throw this.#cannot();
      this.#source.mayRead?.(object.object);
      target[name] = object;
    } else if (
      rest.length === 0 && make === undefined &&
      !(value === null ? EXPANDABLE.has(name) : isRecord(value) || holdsObjects(value))
    ) {
      throw this.#cannot();
    }
    this.step(target[name], rest, nearest, way);
  }

  #cannot() {
    return invalidRequest(`This property cannot be expanded (${this.#path}).`, "expand");
  }
}
