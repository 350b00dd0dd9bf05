import { RestError } from "./errors.ts";
import type { Routine, SchemaCache } from "./schema_cache.ts";
import { parseJson } from "./json_body.ts";

const ROW_PARAMETERS = new Set(["select", "order", "limit", "offset", "and", "or", "not.and", "not.or"]);

/** The function that a call means, the names of its arguments and their values as a JSON object. */
export interface RoutineCall {
  routine: Routine;
  names: string[];
  body: string;
  /** Query parameters that speak of the result's rows. */
  remaining: URLSearchParams;
}

/**
 * Finds the function whose parameters match the argument names of the request. One that is not known is looked for
 * again: the news of a changed schema may still be on its way.
 */
export async function findRoutine(
  cache: SchemaCache,
  schema: string,
  name: string,
  params: URLSearchParams,
  body: string | null,
): Promise<RoutineCall> {
  try {
    return await matchRoutine(cache, schema, name, params, body);
  } catch (error) {
    if (!(error instanceof RestError) || error.code !== "PGRST202") throw error;
    cache.forget();
    return await matchRoutine(cache, schema, name, params, body);
  }
}

async function matchRoutine(
  cache: SchemaCache,
  schema: string,
  name: string,
  params: URLSearchParams,
  body: string | null,
): Promise<RoutineCall> {
  const { routines } = await cache.current(schema);
  const overloads = routines.get(name) ?? [];
  const call = body === null ? fromQuery(params, overloads) : fromBody(params, body);
  const matching = overloads.filter((routine) => accepts(routine, call.names));
  const [routine, second] = matching;
  if (routine === undefined) throw unknownRoutine(`${schema}.${name}`, call.names, overloads);
  if (second !== undefined) {
    throw new RestError(
      300,
      "PGRST203",
      `Could not choose the best candidate function between ${matching.length} functions named ${schema}.${name}`,
      null,
      "Name the functions apart",
    );
  }
  return { routine, ...call };
}

function fromBody(params: URLSearchParams, body: string) {
  const value = body.trim() === "" ? {} : parseJson(body);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new RestError(400, "PGRST102", "The arguments must be a JSON object");
  }
  return { names: Object.keys(value), body, remaining: params };
}

function fromQuery(params: URLSearchParams, overloads: Routine[]) {
  const inputs = new Set(overloads.flatMap((routine) => routine.inputs.map((input) => input.name)));
  const values: Record<string, string> = {};
  const remaining = new URLSearchParams();
  for (const [key, value] of params) {
    if (key === "apikey") continue;
    if (inputs.has(key) || (!ROW_PARAMETERS.has(key) && !/^[\w.]*\w+\./.test(value))) values[key] = value;
    else remaining.append(key, value);
  }
  return { names: Object.keys(values), body: JSON.stringify(values), remaining };
}

function accepts(routine: Routine, names: string[]): boolean {
  return names.every((name) => routine.inputs.some((input) => input.name === name)) &&
    routine.inputs.every((input) => input.optional || names.includes(input.name));
}

function unknownRoutine(name: string, names: string[], overloads: Routine[]): RestError {
  const shown = names.length === 0 ? "without parameters" : `(${names.join(", ")})`;
  const known = overloads.map((routine) =>
    `${name}(${routine.inputs.map((input) => input.name).join(", ")})`
  );
  return new RestError(
    404,
    "PGRST202",
    `Could not find the function ${name}${names.length === 0 ? ` ${shown}` : shown} in the schema cache`,
    `Searched for the function ${name} with ${
      names.length === 0 ? "no parameters" : `parameters ${names.join(", ")}`
    }`,
    known.length === 0 ? null : `Perhaps you meant to call ${known.join(" or ")}`,
  );
}
