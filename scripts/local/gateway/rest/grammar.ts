/** The grammar of PostgREST's query parameters: texts to trees, without knowing the database. */
import {
  after,
  anyChar,
  attempt,
  before,
  bind,
  char,
  eof,
  label,
  lookAhead,
  many,
  many1,
  map,
  maybe,
  never,
  noneOf,
  notFollowedBy,
  of,
  oneOf,
  option,
  or,
  type Parser,
  satisfy,
  sepBy,
  sepBy1,
  seq,
  string,
} from "./parser.ts";

/** A step into JSON: by key, or by index when `index` is true. */
export interface JsonStep {
  arrow: "->" | "->>";
  key: string;
  index: boolean;
}

/** A column, possibly with a path into its JSON: `data->address->>city`. */
export interface Field {
  name: string;
  path: JsonStep[];
}

/** One column of `select`. */
export interface SelectedField {
  kind: "field";
  field: Field;
  alias: string | null;
  cast: string | null;
  aggregated: boolean;
}

/** One embedded relation of `select`. */
export interface SelectedRelation {
  kind: "relation";
  relation: string;
  alias: string | null;
  hint: string | null;
  join: "left" | "inner" | null;
  spread: boolean;
  items: SelectItem[];
}

export type SelectItem = SelectedField | SelectedRelation;

/** What a column is compared with. */
export type Operation =
  | { kind: "in"; values: string[] }
  | { kind: "is"; value: string }
  | { kind: "distinct"; value: string }
  | { kind: "fts"; operator: string; language: string | null; value: string }
  | { kind: "compare"; operator: string; quantifier: "any" | "all" | null; value: string };

export interface Filter {
  kind: "filter";
  field: Field;
  negated: boolean;
  operation: Operation;
}

export interface Group {
  kind: "group";
  negated: boolean;
  word: "and" | "or";
  conditions: Condition[];
}

export type Condition = Filter | Group;

/** One entry of `order`; with a relation, by a column of that one. */
export interface OrderTerm {
  relation: string | null;
  field: Field;
  direction: "asc" | "desc" | null;
  nulls: "first" | "last" | null;
}

const text = (parser: Parser<string[]>) => map(parser, (characters) => characters.join(""));
const ends = (...parsers: Parser<unknown>[]) =>
  or(...parsers.map((end) => map(attempt(lookAhead(end)), () => null)));
const word = <T extends string>(found: T): Parser<T> => attempt(map(string(found), () => found));
const words = <T extends string>(...found: T[]): Parser<T> => or<T>(...found.map(word));
const inParentheses = <T>(parser: Parser<T>) => after(char("("), before(parser, char(")")));

const blanks = many(oneOf(" \t"));
const lexeme = <T>(parser: Parser<T>): Parser<T> => after(blanks, before(parser, blanks));
const delimiter = label(char("."), "delimiter (.)");
const letter = label(satisfy((character) => /\p{L}/u.test(character)), "letter");
const digit = label(satisfy((character) => /[0-9]/.test(character)), "digit");

const identifier = map(text(many1(or(letter, digit, oneOf("_ $")))), (name) => name.trim());

const quoted = map(
  seq(char('"'), text(many(or(noneOf('\\"'), after(char("\\"), anyChar)))), char('"')),
  ([, inner]) => inner,
);

const dash = attempt(after(char("-"), notFollowedBy(char(">"))));
const dashed = (part: Parser<string>) => map(sepBy1(part, dash), (parts) => parts.join("-"));

const fieldName = label(or(quoted, dashed(identifier)), "field name (* or [a..z0..9_$])");

const jsonKey = label(
  or(quoted, dashed(map(text(many1(noneOf("(-:.,>)"))), (key) => key.trim()))),
  "any non reserved character different from: .,>()",
);

const jsonStep: Parser<JsonStep> = bind(words("->>", "->"), (arrow) => {
  const end = or(ends(string("->"), string("::"), string("."), string(",")), attempt(eof));
  const index = before(
    map(seq(option("+", char("-")), text(many1(digit))), ([sign, digits]) => sign + digits),
    end,
  );
  return or<JsonStep>(
    attempt(map(index, (key) => ({ arrow, key, index: true }))),
    attempt(map(jsonKey, (key) => ({ arrow, key, index: false }))),
  );
});
const jsonPath = many(jsonStep);

const field: Parser<Field> = lexeme(
  map(seq(fieldName, jsonPath), ([name, path]) => ({ name, path })),
);

const alias = maybe(attempt(before(fieldName, after(char(":"), notFollowedBy(char(":"))))));

const embedParameter = after(
  char("!"),
  or<{ join?: "left" | "inner"; hint?: string }>(
    map(word("left"), (join) => ({ join })),
    map(word("inner"), (join) => ({ join })),
    attempt(map(fieldName, (hint) => ({ hint }))),
  ),
);

type Embed = Omit<SelectedRelation, "items">;

const embedHead = (relation: string, named: string | null, spread: boolean): Parser<Embed> =>
  bind(
    seq(maybe(embedParameter), maybe(embedParameter)),
    ([first, second]) =>
      map(attempt(lookAhead(string("("))), () => ({
        kind: "relation",
        relation,
        alias: named,
        hint: first?.hint ?? second?.hint ?? null,
        join: first?.join ?? second?.join ?? null,
        spread,
      })),
  );

const relationHead = lexeme(bind(seq(alias, fieldName), ([named, relation]) =>
  // A relation cannot be called as the aggregate is.
  relation === "count" ? never : embedHead(relation, named, false)));

const spreadHead = lexeme(
  bind(after(string("..."), fieldName), (relation) => embedHead(relation, null, true)),
);

const selectEnd = or(ends(string(")"), string(",")), attempt(eof));
const castTo = maybe(after(string("::"), identifier));
const aggregate = or<string>(string("sum"), string("avg"), string("count"), word("max"), word("min"));

const selectedField: Parser<SelectedField> = lexeme(or(
  attempt(map(seq(string("*"), selectEnd), () => selected({ name: "*", path: [] }, null, null, false))),
  attempt(map(
    seq(alias, string("count()"), castTo, selectEnd),
    ([named]) => selected({ name: "*", path: [] }, named, null, true),
  )),
  map(
    seq(alias, field, castTo, maybe(attempt(seq(char("."), aggregate, string("()")))), castTo, selectEnd),
    ([named, column, cast, aggregated]) => selected(column, named, cast, aggregated !== null),
  ),
));

function selected(
  column: Field,
  named: string | null,
  cast: string | null,
  aggregated: boolean,
): SelectedField {
  return { kind: "field", field: column, alias: named, cast, aggregated };
}

const embedded = (head: Parser<Embed>): Parser<SelectItem> =>
  map(
    seq(attempt(head), inParentheses((characters, place) => select(characters, place))),
    ([relation, items]) => ({ ...relation, items }),
  );

/** `select=` */
export const select: Parser<SelectItem[]> = sepBy(
  or<SelectItem>(embedded(spreadHead), embedded(relationHead), selectedField),
  lexeme(char(",")),
);

const SIMPLE = ["neq", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj"] as const;
const QUANTIFIED = ["eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch"] as const;
const anyCase = (letters: string) =>
  attempt(map(
    seq(...[...letters].map((one) => or(char(one), char(one.toUpperCase())))),
    () => letters,
  ));

const listElement = or(
  attempt(before(quoted, notFollowedBy(noneOf(",)")))),
  text(many(noneOf(",)"))),
);
const list = after(lexeme(char("(")), before(sepBy1(listElement, char(",")), lexeme(char(")"))));

const operation = (value: Parser<string>): Parser<Operation> =>
  label(
    or<Operation>(
      map(after(attempt(after(string("in"), delimiter)), list), (values) => ({ kind: "in", values })),
      map(
        after(
          attempt(after(string("is"), delimiter)),
          label(
            or(anyCase("null"), anyCase("unknown"), anyCase("true"), anyCase("false")),
            "null or trilean value (unknown, true, false)",
          ),
        ),
        (found) => ({ kind: "is", value: found }),
      ),
      map(
        after(attempt(after(string("isdistinct"), delimiter)), value),
        (found) => ({ kind: "distinct", value: found }),
      ),
      attempt(map(
        seq(
          words("fts", "plfts", "phfts", "wfts"),
          maybe(attempt(inParentheses(identifier))),
          delimiter,
          value,
        ),
        ([operator, language, , found]) => ({ kind: "fts", operator, language, value: found }),
      )),
      attempt(map(
        seq(label(words(...SIMPLE), "unknown single value operator"), delimiter, value),
        ([operator, , found]) => ({ kind: "compare", operator, quantifier: null, value: found }),
      )),
      attempt(map(
        seq(
          label(words(...QUANTIFIED), "unknown single value operator"),
          maybe(attempt(inParentheses(or<"any" | "all">(word("any"), map(string("all"), () => "all"))))),
          delimiter,
          value,
        ),
        ([operator, quantifier, , found]) => ({ kind: "compare", operator, quantifier, value: found }),
      )),
    ),
    "operator (eq, gt, ...)",
  );

/** The value of a filter: `not.eq.1`. */
export const comparison = (
  value: Parser<string> = text(many(anyChar)),
): Parser<{ negated: boolean; operation: Operation }> =>
  bind(
    or(map(attempt(seq(string("not"), delimiter)), () => true), of(false)),
    (negated) => map(operation(value), (found) => ({ negated, operation: found })),
  );

const groupedValue = or(
  attempt(before(quoted, notFollowedBy(noneOf(",)")))),
  attempt(text(seq(string("{"), text(many(noneOf("{}"))), string("}")))),
  text(many(noneOf(",)"))),
);

const negation = label(
  or(map(attempt(seq(string("not"), delimiter)), () => true), of(false)),
  "negation operator (not)",
);
const groupWord = label(
  or<"and" | "or">(word("and"), map(string("or"), () => "or")),
  "logic operator (and, or)",
);

/** `and(a.eq.1,or(b.is.null,not.and(…)))` */
export const condition: Parser<Condition> = or<Condition>(
  attempt(map(
    seq(before(field, delimiter), comparison(groupedValue)),
    ([column, found]) => ({ kind: "filter", field: column, ...found }),
  )),
  map(
    seq(
      negation,
      groupWord,
      after(
        lexeme(char("(")),
        before(
          sepBy1((characters, place) => condition(characters, place), lexeme(char(","))),
          lexeme(char(")")),
        ),
      ),
    ),
    ([negated, found, conditions]) => ({ kind: "group", negated, word: found, conditions }),
  ),
);

const orderEnd = or(ends(char(",")), attempt(eof));
const direction = or<"asc" | "desc">(
  attempt(map(after(delimiter, string("asc")), () => "asc")),
  attempt(map(after(delimiter, string("desc")), () => "desc")),
);
const nulls = or<"first" | "last">(
  attempt(map(after(delimiter, string("nullsfirst")), () => "first")),
  attempt(map(after(delimiter, string("nullslast")), () => "last")),
);
const orderTail = seq(maybe(direction), or(before(maybe(nulls), orderEnd), map(orderEnd, () => null)));

/** `order=` */
export const order: Parser<OrderTerm[]> = sepBy1(
  lexeme(or<OrderTerm>(
    attempt(map(
      seq(fieldName, inParentheses(field), orderTail),
      ([relation, column, [way, place]]) => ({ relation, field: column, direction: way, nulls: place }),
    )),
    map(
      seq(field, orderTail),
      ([column, [way, place]]) => ({ relation: null, field: column, direction: way, nulls: place }),
    ),
  )),
  char(","),
);

/** The name of a parameter: a path of embedded relations and a column. */
export const treePath: Parser<{ path: string[]; field: Field }> = map(
  seq(sepBy1(fieldName, delimiter), option([], jsonPath)),
  ([names, path]) => ({ path: names.slice(0, -1), field: { name: names.at(-1) ?? "", path } }),
);

/** The name of an `and` or `or` parameter: a path of embedded relations, and how its value begins. */
export const logicPath: Parser<{ path: string[]; prefix: string }> = map(
  sepBy1(fieldName, delimiter),
  (names) => ({
    path: names.slice(0, -1).filter((name) => name !== "not"),
    prefix: `${names.includes("not") ? "not." : ""}${names.at(-1)}`,
  }),
);

/** `columns=` and `on_conflict=` */
export const columns: Parser<string[]> = sepBy1(fieldName, lexeme(char(",")));
