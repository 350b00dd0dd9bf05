/**
 * The only user of `console`. docs/logs.md lists what is written. One JSON line per happening: a constant snake_case message, data in fields.
 * Keys, card numbers and personal data are masked here, so that a careless field cannot leak them.
 */

import { traceIdOf } from "./telemetry/trace_context.ts";
import type { Collector } from "./telemetry/ended_span.ts";
import { createTracer, type Tracer } from "./telemetry/tracer.ts";
import { maskCardNumbers } from "./text/card_numbers.ts";

export type Level = "info" | "warn" | "error";
export type Fields = Record<string, unknown>;

/** Writes lines that carry the fields given to `with`. */
export interface Logger {
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  with(fields: Fields): Logger;
  /** Begins spans, for whoever collects traces; absent where nobody does. */
  readonly tracer?: Tracer;
}

/** Supabase cuts a log line at 10 000 characters; a cut line is no JSON any more. */
const lineLimit = 9_000;
const stringLimit = 1_000;
const depthLimit = 5;

const hiddenFields =
  /^(.*_)?(email|name|phone|address|line1|line2|postal_code|recipient|payload|body|authorization|apikey|api_key|signature|token|secret|password|card|client_secret)$/i;

const secretShapes: [RegExp, string][] = [
  [/\b(sk|rk|pk)_(test|live)_\w+/g, "$1_$2_***"],
  [/\bwhsec_\w+/g, "whsec_***"],
  [/\bsb_(secret|publishable)_[\w-]+/g, "sb_$1_***"],
  [/\bsbp_\w+/g, "sbp_***"],
  [/\bre_[A-Za-z0-9]+_[A-Za-z0-9]+/g, "re_***"],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, "jwt_***"],
  [/\+\d[\d ().-]{6,18}\d\b/g, "+***"],
  [/[^\s@"'<>,;:=]{1,64}@[^\s@"'<>,;:]{1,255}/g, "***@***"],
];

/** A logger that writes to the console, or to `write` in tests. */
export function createLogger(
  fields: Fields = {},
  write: (level: Level, line: string) => void = toConsole,
  tracer?: Tracer,
): Logger {
  const line = (level: Level) => (message: string, more: Fields = {}) =>
    write(level, formatLine(level, message, { ...fields, ...more }));
  return {
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    with: (more) => createLogger({ ...fields, ...more }, write, tracer),
    ...(tracer === undefined ? {} : { tracer }),
  };
}

/** The logger of a function, which also begins spans where there is a collector for them. */
export function functionLogger(name: string, { collector }: { collector: Collector | null }): Logger {
  const log = createLogger({ function: name });
  if (collector === null) return log;
  const tracer = createTracer(
    name,
    collector,
    (error, lost) => log.warn("traces_not_sent", { spans: lost, error }),
  );
  return createLogger({ function: name }, toConsole, tracer);
}

/** Replaces everything in a text that looks like a key, a token, a card number or an e-mail address. */
export function maskText(text: string): string {
  // Cut first, so that a text of any length costs the same; a cut secret still looks like one.
  const start = text.slice(0, 2 * stringLimit);
  const masked = secretShapes.reduce(
    (result, [shape, mask]) => result.replace(shape, mask),
    maskCardNumbers(start),
  );
  return masked.length > stringLimit ? `${masked.slice(0, stringLimit)}…` : masked;
}

function toConsole(level: Level, line: string): void {
  if (level === "error") console.error(line);
  else if (level === "warn") console.warn(line);
  else console.log(line);
}

function formatLine(level: Level, message: string, fields: Fields): string {
  const orderId = fields["order_id"];
  const trace = typeof orderId === "string" ? { trace_id: traceIdOf(orderId) } : {};
  const head = { level, message, time: new Date().toISOString(), ...trace };
  const line = oneLine({ ...head, ...maskFields(fields, 0) });
  return line.length <= lineLimit
    ? line
    : oneLine({ ...head, truncated: true, head: line.slice(0, stringLimit) });
}

/** JSON without what log viewers break lines at, turn round or hide: C1 controls, separators, bidi and zero-width marks. */
function oneLine(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function maskFields(fields: Fields, depth: number): Fields {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map((
        [key, value],
      ) => [key, hiddenFields.test(key) && value !== null ? "***" : maskValue(value, depth)]),
  );
}

function maskValue(value: unknown, depth: number): unknown {
  if (typeof value === "string") return maskText(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return describeError(value, depth);
  if (depth >= depthLimit) return "…";
  if (Array.isArray(value)) return value.slice(0, 50).map((item) => maskValue(item, depth + 1));
  return maskFields(value as Fields, depth + 1);
}

function describeError(error: Error, depth: number): Fields {
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return {
    type: error.name,
    message: maskText(error.message),
    ...(code === undefined ? {} : { code }),
    ...(error.cause === undefined || depth >= depthLimit ? {} : { cause: maskValue(error.cause, depth + 1) }),
  };
}
