import { isBefore } from "./api_version.ts";
import { type ApiError, invalidRequest, unsupported } from "./errors.ts";
import type { FormMap, FormNode } from "./form.ts";
import { currencies } from "./currencies.ts";
import { COUNTRIES } from "./places.ts";

/** What a field knows while reading: where it stands, and the API version that is spoken. */
export interface ReadContext {
  path: string;
  version: string;
  operation: string;
}

export interface Field<T> {
  read(node: FormNode, context: ReadContext): T;
  readonly isRequired?: boolean;
  /** An empty text is a value: it unsets, or empties. */
  readonly takesEmpty?: boolean;
  /** The first API version that has it. */
  readonly since?: string;
  /** The first API version that has it no more, and the code of the refusal where Stripe has one of its own. */
  readonly until?: { version: string; code?: string };
}
export interface RequiredField<T> extends Field<T> {
  readonly isRequired: true;
}
export type Shape = Record<string, Field<unknown>>;
type ValueOf<F> = F extends Field<infer T> ? T : never;
type RequiredKeys<S extends Shape> = {
  [K in keyof S]: S[K] extends RequiredField<unknown> ? K : never;
}[keyof S];
type Flat<T> = { [K in keyof T]: T[K] };
/** The value that a shape reads: required members present, the others optional. */
export type ShapeValue<S extends Shape> = Flat<
  & { [K in RequiredKeys<S>]: ValueOf<S[K]> }
  & { [K in Exclude<keyof S, RequiredKeys<S>>]?: ValueOf<S[K]> }
>;

/** Marks a field whose absence is Stripe's `parameter_missing` error. */
export function required<T>(field: Field<T>): RequiredField<T> {
  return { ...field, isRequired: true };
}

/** A field that API versions before `version` do not have. */
export function since<F extends Field<unknown>>(version: string, field: F): F & { since: string } {
  return { ...field, since: version };
}

/** A field that `version` removed. */
export function until<T>(version: string, field: Field<T>, code?: string): Field<T> {
  return { ...field, until: { version, ...(code === undefined ? {} : { code }) } };
}

/** The text of a node. */
export function textOf(node: FormNode, { path }: ReadContext): string {
  if (typeof node === "string") return node;
  throw invalidRequest(`Invalid string: ${JSON.stringify(node).slice(0, 100)}`, path);
}

/** Text without which a parameter cannot be: empty means "unset", see `clearable`. */
function emptyValue(path: string): ApiError {
  return invalidRequest(
    `You passed an empty string for '${path}'. We assume empty values are an attempt to unset a parameter; however '${path}' cannot be unset. You should remove '${path}' from your request or supply a non-empty value.`,
    path,
    "parameter_invalid_empty",
  );
}

/** Text of 1 to `max` characters; an empty string would mean "unset", see `clearable`. */
export function text(max = 5000): Field<string> {
  return {
    read(node, context) {
      const value = textOf(node, context);
      if (value === "") throw emptyValue(context.path);
      if (value.length > max) {
        throw invalidRequest(
          `Invalid string: ${value.slice(0, 20)}...; must be at most ${max} characters`,
          context.path,
        );
      }
      return value;
    },
  };
}

/** A whole number within bounds, both inclusive. */
export function whole(min = 0, max = 999_999_999_999): Field<number> {
  return {
    read(node, context) {
      const value = textOf(node, context);
      if (!/^-?\d{1,15}$/.test(value)) {
        throw invalidRequest(`Invalid integer: ${value}`, context.path, "parameter_invalid_integer");
      }
      const number = Number(value);
      if (number < 0 && min === 0) {
        throw invalidRequest("Invalid non-negative integer", context.path, "parameter_invalid_integer");
      }
      if (number < min) {
        throw invalidRequest(
          `This value must be greater than or equal to ${min}.`,
          context.path,
          "parameter_invalid_integer",
        );
      }
      if (number > max) {
        throw invalidRequest(
          `This value must be less than or equal to ${max}.`,
          context.path,
          "parameter_invalid_integer",
        );
      }
      return number;
    },
  };
}

export const truth: Field<boolean> = {
  read(node, context) {
    const value = textOf(node, context);
    if (value === "true" || value === "1") return true;
    if (value === "false" || value === "0") return false;
    throw invalidRequest(`Invalid boolean: ${value}`, context.path);
  },
};

/** One of a closed list. */
export function oneOf<const T extends string>(...values: T[]): Field<T> {
  return {
    read(node, context) {
      const value = textOf(node, context);
      const match = values.find((candidate) => candidate === value);
      if (match === undefined) {
        const [last, ...rest] = values.toReversed();
        const named = rest.length === 0 ? last : `${rest.toReversed().join(", ")}, or ${last}`;
        throw invalidRequest(`Invalid ${context.path}: must be one of ${named}`, context.path);
      }
      return match;
    },
  };
}

/** Seconds since 1970. */
export const timestamp: Field<number> = whole(0, 9_999_999_999);

/** An absolute http(s) URL. Stripe fills `{CHECKOUT_SESSION_ID}` in later. */
export const url: Field<string> = {
  read(node, context) {
    const value = textOf(node, context);
    if (value.length > 5000 || !/^https?:\/\/[^\s/]+/.test(value)) {
      throw invalidRequest("Not a valid URL", context.path, "url_invalid");
    }
    return value;
  },
};

export const email: Field<string> = {
  read(node, context) {
    const value = textOf(node, context);
    if (value.length > 512 || !/^[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+$/.test(value)) {
      throw invalidRequest(`Invalid email address: ${value}`, context.path, "email_invalid");
    }
    return value;
  },
};

/** A three-letter currency code, lower-cased. */
export const currency: Field<string> = {
  read(node, context) {
    const value = textOf(node, context).toLowerCase();
    if (!currencies.includes(value)) {
      throw invalidRequest(
        `Invalid currency: ${value}. Stripe currently supports these currencies: ${currencies.join(", ")}`,
        context.path,
      );
    }
    return value;
  },
};

/** A two-letter country code. */
export const country: Field<string> = {
  read(node, context) {
    const value = textOf(node, context);
    if (!COUNTRIES.includes(value.toUpperCase())) {
      throw invalidRequest(
        `Country '${value}' is unknown. Try using a 2-character alphanumeric country code instead, such as 'US', 'EG', or 'GB'.`,
        context.path,
        "country_code_invalid",
      );
    }
    return value.toUpperCase();
  },
};

function child(context: ReadContext, name: string): ReadContext {
  return { ...context, path: context.path === "" ? name : `${context.path}[${name}]` };
}

/** A list, sent as `name[0]`, `name[1]` or `name[]`. */
export function list<T>(item: Field<T>, max = 100): Field<T[]> {
  return {
    read(node, context) {
      if (typeof node === "string") throw invalidRequest("Invalid array", context.path);
      const entries: [string, FormNode][] = Array.isArray(node)
        ? node.map((value, index) => [String(index), value])
        : Object.entries(node);
      if (entries.some(([name]) => !/^\d+$/.test(name))) throw invalidRequest("Invalid array", context.path);
      if (entries.length > max) {
        throw invalidRequest(
          `Array may have at most ${max} elements, you provided ${entries.length}.`,
          context.path,
        );
      }
      return entries.sort(([a], [b]) => Number(a) - Number(b))
        .map(([name, value]) => item.read(value, child(context, name)));
    },
  };
}

/** A list that an empty string empties. */
export function clearableList<T>(item: Field<T>, max?: number): Field<T[]> {
  const items = list(item, max);
  return { takesEmpty: true, read: (node, context) => node === "" ? [] : items.read(node, context) };
}

/** A change of metadata: a null value removes the key, null all of them. */
export type MetadataChange = Record<string, string | null> | null;

/** How many keys an object's metadata may have. */
export const MAX_METADATA_KEYS = 50;

/** Metadata: at most 50 keys of 40 characters, values of 500; an empty value removes the key, or all keys. */
export const metadata: Field<MetadataChange> = {
  takesEmpty: true,
  read(node, context) {
    if (node === "") return null;
    if (typeof node === "string" || Array.isArray(node)) {
      throw invalidRequest("Invalid metadata: metadata must be a set of key-value pairs", context.path);
    }
    const change: Record<string, string | null> = {};
    const entries = Object.entries(node);
    if (entries.length > MAX_METADATA_KEYS) throw tooManyKeys(context.path);
    for (const [key, value] of entries) {
      if (typeof value !== "string") {
        throw invalidRequest("Metadata values must be strings", `${context.path}[${key}]`);
      }
      if (/[[\]]/.test(key)) {
        throw invalidRequest(`Metadata keys can't contain square brackets: ${key}`, context.path);
      }
      if (key.length > 40) {
        throw invalidRequest(`Metadata keys can be up to 40 characters long: ${key}`, context.path);
      }
      if (value.length > 500) {
        throw invalidRequest(
          `Metadata values can have up to 500 characters, but you passed in a value that is ${value.length} characters. Invalid value: ${
            value.slice(0, 20)
          }...`,
          `${context.path}[${key}]`,
        );
      }
      change[key] = value === "" ? null : value;
    }
    return change;
  },
};

/** Stripe's refusal of one key too many. */
export function tooManyKeys(param: string): ApiError {
  return invalidRequest(
    `Invalid metadata: You can have up to ${MAX_METADATA_KEYS} keys in metadata`,
    param,
  );
}

/** A check of several members together; `at` gives the path of one. It throws the refusal. */
export type Rule = (value: Record<string, unknown>, at: (name: string) => string) => void;

/** Members that Stripe has beyond the ones read, and what it asks of them together. */
export interface ShapeNotes {
  rules?: readonly Rule[];
  /** Known to Stripe, not simulated: a clear 501 naming it. */
  unsupported?: readonly string[];
  /** Accepted and without any effect here. */
  inert?: readonly string[];
  /** Removed from the API version of stripe-node's types; each says `until` when there was one. */
  older?: Shape;
}

function readShape<S extends Shape>(
  shape: S,
  notes: ShapeNotes,
  node: FormMap,
  context: ReadContext,
): ShapeValue<S> {
  const value: Record<string, unknown> = {};
  const unknown: string[] = [];
  for (const [name, member] of Object.entries(node)) {
    const inner = child(context, name);
    const known = [shape, notes.older ?? {}].find((fields) => Object.hasOwn(fields, name))?.[name];
    const field = known !== undefined && isSpoken(known, context.version) ? known : undefined;
    if (field !== undefined) {
      if (member === "" && field.takesEmpty !== true) throw emptyValue(inner.path);
      value[name] = field.read(member, inner);
    } else if (known?.until?.code !== undefined) {
      throw invalidRequest(
        `The parameter \`${inner.path}\` is no longer supported as of API version ${known.until.version}.`,
        inner.path,
        known.until.code,
      );
    } else if (notes.unsupported?.includes(name)) {
      throw unsupported(`the parameter \`${inner.path}\` of ${context.operation}`);
    } else if (!notes.inert?.includes(name)) {
      unknown.push(inner.path);
    }
  }
  if (unknown.length > 0) {
    const word = unknown.length === 1 ? "parameter" : "parameters";
    throw invalidRequest(`Received unknown ${word}: ${unknown.join(", ")}`, unknown[0], "parameter_unknown");
  }
  for (const [name, field] of [...Object.entries(shape), ...Object.entries(notes.older ?? {})]) {
    if (field.isRequired === true && value[name] === undefined && isSpoken(field, context.version)) {
      const { path } = child(context, name);
      throw invalidRequest(`Missing required param: ${path}.`, path, "parameter_missing");
    }
  }
  for (const rule of notes.rules ?? []) rule(value, (name) => child(context, name).path);
  return value as ShapeValue<S>;
}

function isSpoken({ since, until }: Field<unknown>, version: string): boolean {
  return (since === undefined || !isBefore(version, since)) &&
    (until === undefined || isBefore(version, until.version));
}

/** A nested map with a closed set of members. */
export function map<S extends Shape>(shape: S, notes: ShapeNotes = {}): Field<ShapeValue<S>> {
  return {
    read(node, context) {
      if (typeof node === "string" || Array.isArray(node)) {
        throw invalidRequest("Invalid object", context.path);
      }
      return readShape(shape, notes, node, context);
    },
  };
}

/** A field whose empty string means "unset". */
export function clearable<T>(field: Field<T>): Field<T | null> {
  return { takesEmpty: true, read: (node, context) => node === "" ? null : field.read(node, context) };
}

/** The parameters of one operation; `expand` is part of each. */
export interface Params<S extends Shape> {
  readonly shape: S;
  readonly notes: ShapeNotes;
}

/**
 * Declares the parameters of an operation. `P` is stripe-node's type of the same parameters: a name that it
 * does not have fails the type check, so the declarations cannot drift from the published API.
 */
export function paramsOf<P>() {
  return <S extends Shape>(
    shape: S & Record<Exclude<keyof S, keyof P>, never>,
    notes: ShapeNotes = {},
  ): Params<S> => ({ shape, notes });
}

/** Reads a request's parameters, or throws the error Stripe would answer. */
export function readParams<S extends Shape>(
  params: Params<S>,
  node: FormMap,
  context: ReadContext,
): ShapeValue<S> {
  const { expand: _expand, ...rest } = node;
  return readShape(params.shape, params.notes, rest as FormMap, context);
}
