/**
 * Parser combinators with the rules of Parsec, by which PostgREST reads its query strings: what is accepted, where it
 * fails and what it says it expected are the same when the grammar is.
 */

/** A place in the text: index of a character, and where a reader finds it. */
interface Place {
  at: number;
  line: number;
  column: number;
}

type Kind = "sysUnexpected" | "unexpected" | "expecting";

/** Why a parser went no further, and where. */
interface Trouble {
  place: Place;
  messages: { kind: Kind; text: string }[];
}

type Result<T> =
  | { ok: true; consumed: boolean; value: T; place: Place; trouble: Trouble }
  | { ok: false; consumed: boolean; trouble: Trouble };

/** Reads something from `text`, a list of characters, at a place. */
export type Parser<T> = (text: string[], place: Place) => Result<T>;

const nothing = (place: Place): Trouble => ({ place, messages: [] });

/** Of two troubles the one that came further counts; at the same place both. */
function merged(first: Trouble, second: Trouble): Trouble {
  if (second.messages.length === 0 && first.messages.length > 0) return first;
  if (first.messages.length === 0 && second.messages.length > 0) return second;
  const further = first.place.line - second.place.line || first.place.column - second.place.column;
  if (further !== 0) return further > 0 ? first : second;
  return { place: first.place, messages: [...first.messages, ...second.messages] };
}

function withMessage(trouble: Trouble, kind: Kind, text: string): Trouble {
  return {
    place: trouble.place,
    messages: [{ kind, text }, ...trouble.messages.filter((message) => message.kind !== kind)],
  };
}

/** Reads nothing and gives `value`. */
export function of<T>(value: T): Parser<T> {
  return (_text, place) => ({ ok: true, consumed: false, value, place, trouble: nothing(place) });
}

/** Fails without a word. */
export const never: Parser<never> = (_text, place) => ({
  ok: false,
  consumed: false,
  trouble: nothing(place),
});

/** `parser`, then what `next` makes of its value. */
export function bind<A, B>(parser: Parser<A>, next: (value: A) => Parser<B>): Parser<B> {
  return (text, place) => {
    const first = parser(text, place);
    if (!first.ok) return first;
    const second = next(first.value)(text, first.place);
    if (second.consumed) return second;
    const trouble = first.trouble.messages.length === 0
      ? second.trouble
      : merged(first.trouble, second.trouble);
    return { ...second, consumed: first.consumed, trouble };
  };
}

/** `parser`, with its value changed. */
export function map<A, B>(parser: Parser<A>, change: (value: A) => B): Parser<B> {
  return bind(parser, (value) => of(change(value)));
}

/** All of them one after the other, with the list of their values. */
export function seq<T extends unknown[]>(...parsers: { [K in keyof T]: Parser<T[K]> }): Parser<T> {
  const [first, ...rest] = parsers as Parser<unknown>[];
  const all: Parser<unknown[]> = first === undefined
    ? of([])
    : bind(first, (value) => map(seq(...rest), (values) => [value, ...values]));
  return all as Parser<T>;
}

/** Both, with the value of the first. */
export const before = <A>(parser: Parser<A>, end: Parser<unknown>): Parser<A> =>
  bind(parser, (value) => map(end, () => value));

/** Both, with the value of the second. */
export const after = <A>(start: Parser<unknown>, parser: Parser<A>): Parser<A> => bind(start, () => parser);

/** The first that does not fail at its first character. */
export function or<T>(...parsers: Parser<T>[]): Parser<T> {
  return parsers.reduceRight((second, first) => (text, place) => {
    const one = first(text, place);
    if (one.ok || one.consumed) return one;
    const other = second(text, place);
    return other.consumed ? other : { ...other, trouble: merged(one.trouble, other.trouble) };
  });
}

/** As often as it goes. */
export function many<T>(parser: Parser<T>): Parser<T[]> {
  return (text, start) => {
    const value: T[] = [];
    let place = start;
    while (true) {
      const one = parser(text, place);
      if (!one.ok) {
        if (one.consumed) return one;
        return { ok: true, consumed: value.length > 0, value, place, trouble: one.trouble };
      }
      if (!one.consumed) throw new Error("many() of a parser that reads nothing");
      value.push(one.value);
      place = one.place;
    }
  };
}

export const many1 = <T>(parser: Parser<T>): Parser<T[]> =>
  bind(parser, (first) => map(many(parser), (rest) => [first, ...rest]));

export const option = <T>(otherwise: T, parser: Parser<T>): Parser<T> => or(parser, of(otherwise));

export const maybe = <T>(parser: Parser<T>): Parser<T | null> => or<T | null>(parser, of(null));

export const sepBy1 = <T>(parser: Parser<T>, separator: Parser<unknown>): Parser<T[]> =>
  bind(parser, (first) => map(many(after(separator, parser)), (rest) => [first, ...rest]));

export const sepBy = <T>(parser: Parser<T>, separator: Parser<unknown>): Parser<T[]> =>
  or(sepBy1(parser, separator), of([]));

/** A failure of it counts as one at its first character. */
export const attempt = <T>(parser: Parser<T>): Parser<T> => (text, place) => {
  const result = parser(text, place);
  return result.ok ? result : { ...result, consumed: false };
};

/** Reads nothing where it succeeds. */
export const lookAhead = <T>(parser: Parser<T>): Parser<T> => (text, place) => {
  const result = parser(text, place);
  return result.ok ? { ...result, consumed: false, place, trouble: nothing(place) } : result;
};

/** Says what is expected here, in the place of what its parts say. */
export const label = <T>(parser: Parser<T>, text: string): Parser<T> => (characters, place) => {
  const result = parser(characters, place);
  if (result.consumed || (result.ok && result.trouble.messages.length === 0)) return result;
  return { ...result, trouble: withMessage(result.trouble, "expecting", text) };
};

function token(accepts: (character: string) => boolean, shown: (character: string) => string, moves = true) {
  const parser: Parser<string> = (text, place) => {
    const character = text[place.at];
    if (character !== undefined && accepts(character)) {
      const next = moves ? moved(place, character) : { ...place, at: place.at + 1 };
      return { ok: true, consumed: true, value: character, place: next, trouble: nothing(next) };
    }
    const message = character === undefined ? "" : shown(character);
    const trouble = withMessage(nothing(place), "sysUnexpected", message);
    return { ok: false, consumed: false, trouble };
  };
  return parser;
}

function moved({ at, line, column }: Place, character: string): Place {
  if (character === "\n") return { at: at + 1, line: line + 1, column: 1 };
  if (character === "\t") return { at: at + 1, line, column: column + 8 - ((column - 1) % 8) };
  return { at: at + 1, line, column: column + 1 };
}

export const satisfy = (accepts: (character: string) => boolean): Parser<string> => token(accepts, showText);

export const char = (wanted: string): Parser<string> =>
  label(satisfy((character) => character === wanted), showText(wanted));

export const anyChar: Parser<string> = satisfy(() => true);

export const oneOf = (characters: string): Parser<string> => satisfy((found) => characters.includes(found));

export const noneOf = (characters: string): Parser<string> => satisfy((found) => !characters.includes(found));

/** Exactly these characters; a failure after the first of them has read something. */
export function string(wanted: string): Parser<string> {
  const characters = [...wanted];
  return (text, start) => {
    let place = start;
    for (const [index, character] of characters.entries()) {
      const found = text[start.at + index];
      if (found !== character) {
        const unexpected = withMessage(
          nothing(start),
          "sysUnexpected",
          found === undefined ? "" : showText(found),
        );
        const trouble = withMessage(unexpected, "expecting", showText(wanted));
        return { ok: false, consumed: index > 0, trouble };
      }
      place = moved(place, character);
    }
    return { ok: true, consumed: true, value: wanted, place, trouble: nothing(place) };
  };
}

/** Reads nothing where `parser` would fail. */
export function notFollowedBy(parser: Parser<string>): Parser<null> {
  const refuse = (found: string): Parser<null> => (_text, place) => ({
    ok: false,
    consumed: false,
    trouble: withMessage(nothing(place), "unexpected", showCharacter(found)),
  });
  return attempt(or(bind(attempt(parser), refuse), of(null)));
}

export const eof: Parser<null> = label(
  notFollowedBy(token(() => true, showCharacter, false)),
  "end of input",
);

/** A text that could not be read: PostgREST's `message` says where, its `details` why. */
export class ParseError extends Error {
  override name = "ParseError";

  constructor(message: string, readonly details: string) {
    super(message);
  }
}

/** Reads `text`, which is called `name` in errors. Throws {@linkcode ParseError}. */
export function parse<T>(parser: Parser<T>, name: string, text: string): T {
  const result = parser([...text], { at: 0, line: 1, column: 1 });
  if (result.ok) return result.value;
  const { place, messages } = result.trouble;
  throw new ParseError(`"${name}" (line ${place.line}, column ${place.column})`, explanation(messages));
}

function explanation(messages: Trouble["messages"]): string {
  if (messages.length === 0) return "unknown parse error";
  const texts = (kind: Kind) => messages.filter((message) => message.kind === kind).map(({ text }) => text);
  const [system] = texts("sysUnexpected");
  const unexpected = listed(texts("unexpected")), expecting = listed(texts("expecting"));
  const parts = [
    texts("unexpected").length > 0 || system === undefined
      ? ""
      : `unexpected ${system === "" ? "end of input" : system}`,
    unexpected === "" ? "" : `unexpected ${unexpected}`,
    expecting === "" ? "" : `expecting ${expecting}`,
  ];
  return parts.filter((part) => part !== "").join(" ");
}

function listed(texts: string[]): string {
  const different = [...new Set(texts.filter((text) => text !== ""))];
  const last = different.pop() ?? "";
  return different.length === 0 ? last : `${different.join(", ")} or ${last}`;
}

const NAMED: Record<string, string> = {
  "\n": "\\n",
  "\t": "\\t",
  "\r": "\\r",
  "\\": "\\\\",
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\v": "\\v",
  "\x7f": "\\DEL",
};

const CONTROLS = (
  "NUL SOH STX ETX EOT ENQ ACK a b t n v f r SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US"
).split(" ");

/** A character as Haskell writes it inside quotes. */
function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return NAMED[character] ?? (code < 32 ? `\\${CONTROLS[code]}` : code > 127 ? `\\${code}` : character);
}

function showCharacter(character: string): string {
  return `'${character === "'" ? "\\'" : escaped(character)}'`;
}

function showText(text: string): string {
  return `"${[...text].map((character) => character === '"' ? '\\"' : escaped(character)).join("")}"`;
}
