import type { Schema, Specification } from "./stripe_mock.ts";

/**
 * Where API version 2026-10-28.endive, which the stand-in and stripe-node speak, differs from the published
 * specification's 2026-08-26.dahlia. stripe-node's types hold these members; the rest must fit to the letter.
 */
export const NEWER_THAN_THE_SPECIFICATION = [
  "charge.payment_method_details.card.electronic_commerce_indicator: is unknown",
  "charge.source: is unknown",
  "checkout.session.allowed_payment_method_types: is unknown",
  "dispute.evidence_details.submission_method: is unknown",
  "dispute.intended_submission_method: is unknown",
  "payment_intent.payment_record: is unknown",
  "payment_intent.source: is unknown",
  "price.recurring.trial_period_days: is unknown",
  "product.tax_details: is unknown",
  "product.type: is unknown",
];

/** Finds where a value differs from Stripe's published schema of it. */
export class SchemaCheck {
  readonly #schemas: Record<string, Schema>;

  constructor(specification: Specification) {
    this.#schemas = specification.components.schemas;
  }

  /** The differences of an API object, each as "path: what is wrong". */
  differences(object: unknown): string[] {
    const name = isRecord(object) ? String(object.object) : "";
    const schema = this.#schemas[name];
    if (schema === undefined) return [`there is no schema named ${name}`];
    return this.#check(object, schema, name);
  }

  #check(value: unknown, schema: Schema, path: string): string[] {
    if (schema.$ref !== undefined) return this.#check(value, this.#resolve(schema.$ref), path);
    if (value === null) return schema.nullable === true ? [] : [`${path}: is null`];
    if (schema.anyOf !== undefined) return this.#checkAny(value, schema.anyOf, path);
    if (schema.enum !== undefined && !schema.enum.some((allowed) => allowed === value)) {
      return [`${path}: ${JSON.stringify(value)} is not in the enumeration`];
    }
    switch (schema.type) {
      case "string":
        if (typeof value !== "string") return [`${path}: is no string`];
        return schema.maxLength !== undefined && value.length > schema.maxLength
          ? [`${path}: longer than ${schema.maxLength}`]
          : [];
      case "integer":
        return Number.isInteger(value) ? [] : [`${path}: is no integer`];
      case "number":
        return typeof value === "number" ? [] : [`${path}: is no number`];
      case "boolean":
        return typeof value === "boolean" ? [] : [`${path}: is no boolean`];
      case "array":
        if (!Array.isArray(value)) return [`${path}: is no list`];
        return value.flatMap((item, index) => this.#check(item, schema.items ?? {}, `${path}[${index}]`));
      case "object":
        return isRecord(value) ? this.#checkObject(value, schema, path) : [`${path}: is no object`];
      default:
        return [];
    }
  }

  #checkObject(value: Record<string, unknown>, schema: Schema, path: string): string[] {
    const { properties = {}, required = [], additionalProperties } = schema;
    const found = required.filter((name) => value[name] === undefined).map((name) =>
      `${path}.${name}: is missing`
    );
    for (const [name, member] of Object.entries(value)) {
      const known = properties[name];
      if (known !== undefined) found.push(...this.#check(member, known, `${path}.${name}`));
      else if (typeof additionalProperties === "object") {
        found.push(...this.#check(member, additionalProperties, `${path}.${name}`));
      } else if (schema.properties !== undefined) found.push(`${path}.${name}: is unknown`);
    }
    return found;
  }

  /** The differences from the alternative that fits best. */
  #checkAny(value: unknown, alternatives: Schema[], path: string): string[] {
    const results = alternatives.filter((alternative) => this.#isMeant(value, alternative))
      .map((alternative) => this.#check(value, alternative, path));
    if (results.length === 0) return [`${path}: fits no alternative`];
    return results.reduce((best, next) => next.length < best.length ? next : best);
  }

  /** Objects name their schema in `object`, so the others need not be tried. */
  #isMeant(value: unknown, alternative: Schema): boolean {
    const schema = alternative.$ref === undefined ? alternative : this.#resolve(alternative.$ref);
    const named = schema.properties?.object?.enum?.[0];
    if (!isRecord(value)) return schema.type !== "object";
    if (schema.type !== "object" && schema.type !== undefined) return false;
    return named === undefined || value.object === undefined || named === value.object;
  }

  #resolve(reference: string): Schema {
    const schema = this.#schemas[reference.replace("#/components/schemas/", "")];
    if (schema === undefined) throw new Error(`the specification lacks ${reference}`);
    return schema;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
