/**
 * Kinds of environment variables. Errors say what to set, never what was set. Plain functions, and no schemas: a
 * function reads some sixty variables when it starts, before it can answer.
 */

/** A variable: what its text means. */
export interface Variable<T> {
  /** What an error says. */
  fix: string;
  /** What a text that is set means; undefined: it is malformed. */
  read: (text: string) => T | undefined;
  /** What holds while it is not set; a variable without it must be set. */
  unset?: { value: T };
}

/** What a table of variables gives. */
export type ValuesOf<Table> = { [Name in keyof Table]: Table[Name] extends Variable<infer T> ? T : never };

/** A variable that may be left out. */
export function optional<T>({ fix, read }: Variable<T>): Variable<T | undefined> {
  return { fix, read, unset: { value: undefined } };
}

/** A variable that is this while it is not set. */
export function withDefault<T>(variable: Variable<T>, value: T): Variable<T> {
  return { ...variable, unset: { value } };
}

/** A text of this shape. */
export function text(fix: string, shape: RegExp): Variable<string> {
  return { fix, read: (value) => shape.test(value) ? value : undefined };
}

/** One of these words. */
export function oneOf<const T extends string>(values: readonly T[]): Variable<T> {
  return {
    fix: `set it to one of ${values.join(", ")}`,
    read: (value) => values.find((word) => word === value),
  };
}

/** One of these words, or the fallback. */
export function choice<const T extends string>(values: readonly T[], fallback: NoInfer<T>): Variable<T> {
  return withDefault(oneOf(values), fallback);
}

/** true or false. */
export function flag(fallback: boolean): Variable<boolean> {
  const { fix, read } = oneOf(["true", "false"]);
  return {
    fix,
    read: (value) => read(value) === undefined ? undefined : value === "true",
    unset: { value: fallback },
  };
}

/** A whole number between these, or the fallback. */
export function wholeNumber(min: number, max: number, fallback: number): Variable<number> {
  return {
    fix: `set a whole number from ${min} to ${max}`,
    read(value) {
      const number = /^\d{1,9}$/.test(value) ? Number(value) : NaN;
      return number >= min && number <= max ? number : undefined;
    },
    unset: { value: fallback },
  };
}

/** An http or https address; plain http is for the local machine only, where no one listens in between. */
export function webAddress(fix: string): Variable<string> {
  return { fix, read: (value) => parseWebAddress(value) === null ? undefined : value };
}

/** One e-mail address: no list, no name before it. */
export function mailAddress(fix: string): Variable<string> {
  return text(
    fix,
    /^(?!\.)(?!.*\.\.)[A-Za-z0-9_'+\-.]*[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z]{2,}$/,
  );
}

/** An address without a user, of http or https; null for any other text. */
export function parseWebAddress(value: string): URL | null {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || url.username !== "" || url.password !== "") return null;
  return url.protocol === "https:" || url.protocol === "http:" ? url : null;
}

/** Whether a text is an origin and nothing more: scheme, host, port. */
export function isOrigin(value: string): boolean {
  return parseWebAddress(value)?.origin === value;
}

/** Whether a text can be decoded as Base64: what cannot be would throw at each use. */
export function isBase64(value: string): boolean {
  try {
    return atob(value) !== "";
  } catch {
    return false;
  }
}

/** What stands between commas, if `accepts` takes each, and all of them together. */
export function commaList(
  fix: string,
  accepts: (item: string) => boolean,
  acceptsAll: (items: string[]) => boolean = () => true,
): Variable<string[]> {
  return {
    fix,
    read(value) {
      const items = value.split(",").map((item) => item.trim()).filter((item) => item !== "");
      return items.every(accepts) && acceptsAll(items) ? items : undefined;
    },
  };
}

/** The same, and at least one. */
export function commaListOfSome(fix: string, accepts: (item: string) => boolean): Variable<string[]> {
  return commaList(fix, accepts, (items) => items.length > 0);
}

/** `{"default":"sb_…"}` as Supabase writes it. */
export function keyDictionary(fix: string): Variable<Record<string, string>> {
  return {
    fix,
    read(value) {
      const keys = parseJson(value);
      if (!isRecord(keys)) return undefined;
      const pairs = Object.entries(keys).filter((pair): pair is [string, string] =>
        typeof pair[1] === "string" && pair[1].length >= 8
      );
      return pairs.length > 0 && pairs.length === Object.keys(keys).length
        ? Object.fromEntries(pairs)
        : undefined;
    },
  };
}

/** `{"keys":[…]}`, or the list of keys alone. */
export function keySet(fix: string): Variable<{ keys: JsonWebKey[] }> {
  return {
    fix,
    read(value) {
      const given = parseJson(value);
      const keys = isRecord(given) ? given["keys"] : given;
      return Array.isArray(keys) && keys.every(isRecord) ? { keys: keys as JsonWebKey[] } : undefined;
    },
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value of a JSON text; undefined when it is none. */
export function parseJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}
