/** Finds the function that a call means, and writes the SQL that calls it. */
import { bodyRows } from "./write_sql.ts";
import { RestError } from "./errors.ts";
import { closest } from "./fuzzy.ts";
import { qualified } from "./read_sql.ts";
import { quoteName, quoteText } from "./quote.ts";
import type { RestRequest } from "./request.ts";
import type { Input, Routine, Snapshot } from "./snapshot.ts";

const UNNAMED: Record<string, string[]> = {
  "application/json": ["json", "jsonb"],
  "text/plain": ["text"],
  "text/xml": ["xml"],
  "application/octet-stream": ["bytea"],
};

/** The function whose parameters match the arguments of the request. Throws when there is none, or more than one. */
export function findRoutine(request: RestRequest, { routines }: Snapshot): Routine {
  const overloads = routines.get(request.name) ?? [];
  const names = argumentNames(request);
  const named = overloads.filter((routine) => accepts(routine, names, request));
  const fallback = overloads.filter((routine) =>
    !named.includes(routine) && request.method === "POST" && routine.inputs.length === 1 &&
    UNNAMED[request.contentType]?.includes(routine.inputs[0]?.type ?? "")
  );
  const matching = named.length > 0 ? named : fallback;
  const [routine, second] = matching;
  if (routine === undefined) throw unknownRoutine(request, names, overloads, [...routines.keys()]);
  if (second === undefined) return routine;
  const shown = matching.map(({ schema, name, inputs }) =>
    `${schema}.${name}(${inputs.map((input) => `${input.name} => ${input.type}`).join(", ")})`
  );
  throw new RestError(
    300,
    "PGRST203",
    `Could not choose the best candidate function between: ${shown.join(", ")}`,
    null,
    "Try renaming the parameters or the function itself in the database so function overloading can be resolved",
  );
}

function argumentNames({ method, query, payload }: RestRequest): string[] {
  return method === "POST" ? payload?.keys ?? [] : [...new Set(query.arguments.map(([name]) => name))].sort();
}

function accepts({ inputs }: Routine, names: string[], request: RestRequest): boolean {
  if (request.prefer.parameters !== null) {
    return inputs.length === 1 && ["json", "jsonb"].includes(inputs[0]?.type ?? "");
  }
  if (inputs.length === 0) return names.length === 0 && !isRaw(request);
  return names.every((name) => inputs.some((input) => input.name === name)) &&
    inputs.every((input) => input.optional || names.includes(input.name));
}

function isRaw({ method, contentType }: RestRequest): boolean {
  return method === "POST" && ["text/plain", "text/xml", "application/octet-stream"].includes(contentType);
}

function unknownRoutine(
  request: RestRequest,
  names: string[],
  overloads: Routine[],
  known: string[],
): RestError {
  const { schema, name, prefer, contentType, method } = request;
  const called = `${schema}.${name}`;
  const single = prefer.parameters !== null;
  const onlySingle = single || isRaw(request);
  const or = (text: string) => names.length === 0 ? " without parameters" : text;
  const listed = or(` with parameter${names.length > 1 ? "s" : ""} ${names.join(", ")}`);
  const searched = single
    ? " with a single json/jsonb parameter"
    : isRaw(request)
    ? ` with a single unnamed ${UNNAMED[contentType]?.[0]} parameter`
    : method === "POST" && contentType === "application/json"
    ? `${listed} or with a single unnamed json/jsonb parameter`
    : listed;
  const parameters = (list: string[]) => `(${[...list].sort().join(", ")})`;
  const likely = overloads.length === 0 ? closest(name, known) : closest(
    parameters(names),
    overloads.map(({ inputs }) => parameters(inputs.map((input) => input.name))),
  );
  const meant = likely === null
    ? null
    : `Perhaps you meant to call the function ${schema}.${overloads.length === 0 ? "" : name}${likely}`;
  return new RestError(
    404,
    "PGRST202",
    `Could not find the function ${called}${
      onlySingle ? "" : or(`(${names.join(", ")})`)
    } in the schema cache`,
    `Searched for the function ${called}${searched}, but no matches were found in the schema cache.`,
    onlySingle ? null : meant,
  );
}

/** The text of the parameter `$1`: the arguments as a JSON object, or the one that has no name. Null for none. */
export function argumentsOf(request: RestRequest, { inputs }: Routine): string {
  const { payload, query } = request;
  if (payload !== null && payload.kind !== "form") return payload.text;
  const values: Record<string, string | string[]> = {};
  for (const [name, value] of payload?.fields ?? query.arguments) {
    const variadic = inputs.some((input) => input.name === name && input.variadic);
    const before = values[name];
    values[name] = variadic ? [...(Array.isArray(before) ? before : []), value] : value;
  }
  return JSON.stringify(values);
}

/** Writes the call; `returning` are the columns that are asked of its rows. */
export function callSql(request: RestRequest, routine: Routine, returning: string[]): string {
  const [only] = routine.inputs;
  const names = argumentNames(request);
  const isSingle = routine.inputs.length === 1 && only !== undefined &&
    (request.prefer.parameters !== null || only.name === "");
  const inputs = isSingle ? [] : routine.inputs.filter(({ name }) => names.includes(name));
  const args = isSingle ? singleArgument(request, only) : inputs.map(namedArgument).join(", ");
  const call = `${qualified(routine)}(${args})`;
  const isScalar = routine.result !== "composite";
  const found = isScalar ? `(select ${call} pgrst_scalar) pgrst_call` : `${call} pgrst_call`;
  const columns = isScalar
    ? "pgrst_call.pgrst_scalar"
    : returning.map((name) => name === "*" ? "pgrst_call.*" : `pgrst_call.${quoteName(name)}`).join(", ");
  const typed = inputs.map(({ name, type }) => ({ name, type: withoutLength(type), default: null }));
  const rows = inputs.length === 0 ? "" : `${bodyRows(request.payload, typed, false)}, lateral `;
  return `select ${columns || "*"} from ${rows}${found}`;
}

function namedArgument({ name, variadic }: Input): string {
  return `${variadic ? "variadic " : ""}${quoteName(name)} := pgrst_body.${quoteName(name)}`;
}

/** A number of bits or characters that nobody gave would be one. */
function withoutLength(type: string): string {
  return type.replace(/^bit(\[\])?$/, "bit varying$1").replace(/^character(\[\])?$/, "character varying$1");
}

function singleArgument(request: RestRequest, { type }: Input): string {
  if (type === "bytea") {
    const hex = new TextEncoder().encode(request.payload?.text ?? "").toHex();
    return `${quoteText(`\\x${hex}`)}::bytea`;
  }
  return `$1::text::${type}`;
}
