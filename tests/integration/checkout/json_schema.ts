/** As much of JSON Schema 2020-12 as `docs/openapi.json` uses; a keyword that it does not know is an error. */

export type Schema = Record<string, unknown>;

const ignored = new Set(["description", "title", "default", "format", "$schema"]);

/** The places where a value differs from a schema, each as "path: what is wrong". */
export function differences(
  value: unknown,
  schema: Schema,
  definitions: Record<string, Schema>,
  path = "$",
): string[] {
  return Object.entries(schema).flatMap(([keyword, rule]) => {
    if (ignored.has(keyword)) return [];
    const check = keywords[keyword];
    if (check === undefined) throw new Error(`the schema keyword ${keyword} is not known here`);
    return check({ value, rule, schema, definitions, path });
  });
}

interface Place {
  value: unknown;
  // deno-lint-ignore no-explicit-any -- each keyword has its own type of rule
  rule: any;
  schema: Schema;
  definitions: Record<string, Schema>;
  path: string;
}

const keywords: Record<string, (place: Place) => string[]> = {
  type: ({ value, rule, path }) =>
    [rule].flat().some((type) => typeFits(value, type)) ? [] : [`${path}: is not of type ${rule}`],
  enum: ({ value, rule, path }) => rule.includes(value) ? [] : [`${path}: ${value} is not one of ${rule}`],
  const: ({ value, rule, path }) => value === rule ? [] : [`${path}: is not ${rule}`],
  $ref: ({ value, rule, definitions, path }) => {
    const name = String(rule).replace("#/components/schemas/", "");
    const target = definitions[name];
    return target === undefined
      ? [`${path}: no schema ${rule}`]
      : differences(value, target, definitions, path);
  },
  allOf: ({ value, rule, definitions, path }) =>
    rule.flatMap((part: Schema) => differences(value, part, definitions, path)),
  anyOf: ({ value, rule, definitions, path }) =>
    rule.some((part: Schema) => differences(value, part, definitions, path).length === 0)
      ? []
      : [`${path}: fits none of the alternatives`],
  required: ({ value, rule, path }) =>
    isObject(value)
      ? rule.filter((name: string) => !(name in value)).map((name: string) => `${path}.${name}: is missing`)
      : [],
  properties: ({ value, rule, definitions, path }) =>
    isObject(value)
      ? Object.entries(rule as Record<string, Schema>).flatMap(([name, part]) =>
        name in value ? differences(value[name], part, definitions, `${path}.${name}`) : []
      )
      : [],
  additionalProperties: ({ value, rule, schema, definitions, path }) => {
    if (!isObject(value) || rule === true) return [];
    const known = Object.keys((schema["properties"] ?? {}) as Schema);
    return Object.keys(value).filter((name) => !known.includes(name)).flatMap((name) =>
      rule === false
        ? [`${path}.${name}: is not in the schema`]
        : differences(value[name], rule, definitions, `${path}.${name}`)
    );
  },
  propertyNames: ({ value, rule, definitions, path }) =>
    isObject(value)
      ? Object.keys(value).flatMap((name) => differences(name, rule, definitions, `${path} key`))
      : [],
  items: ({ value, rule, definitions, path }) =>
    Array.isArray(value)
      ? value.flatMap((item, at) => differences(item, rule, definitions, `${path}[${at}]`))
      : [],
  pattern: ({ value, rule, path }) =>
    typeof value !== "string" || new RegExp(rule).test(value) ? [] : [`${path}: does not match ${rule}`],
  minimum: ({ value, rule, path }) =>
    typeof value !== "number" || value >= rule ? [] : [`${path}: is below ${rule}`],
  maximum: ({ value, rule, path }) =>
    typeof value !== "number" || value <= rule ? [] : [`${path}: is above ${rule}`],
  minLength: ({ value, rule, path }) =>
    typeof value !== "string" || value.length >= rule ? [] : [`${path}: is too short`],
  maxLength: ({ value, rule, path }) =>
    typeof value !== "string" || value.length <= rule ? [] : [`${path}: is too long`],
  minItems: ({ value, rule, path }) =>
    !Array.isArray(value) || value.length >= rule ? [] : [`${path}: has too few items`],
  maxItems: ({ value, rule, path }) =>
    !Array.isArray(value) || value.length <= rule ? [] : [`${path}: has too many items`],
};

function typeFits(value: unknown, type: string): boolean {
  const actual = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
  return actual === type || (type === "integer" && Number.isInteger(value));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
