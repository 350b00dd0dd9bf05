/** What a verified body must be to be stored as an event: the outer fields, the rest is the translators' matter. */
import * as z from "zod/mini";
import { AppError } from "../_shared/errors.ts";

/** A snapshot event, or a v2 ("thin") notification that names an object without carrying it. */
export interface Envelope {
  id: string;
  type: string;
  livemode: boolean;
  apiVersion: string;
  created: Date;
  thin: boolean;
  payload: Record<string, unknown>;
}

/** Deeper than any Stripe object, and far from the depth at which serialising or Postgres would give up. */
const depthLimit = 64;

const identity = {
  id: z.string().check(z.regex(/^evt_\w{1,250}$/)),
  type: z.string().check(z.minLength(1), z.maxLength(255)),
};

const snapshot = z.looseObject({
  ...identity,
  object: z.literal("event"),
  livemode: z.boolean(),
  api_version: z.nullish(z.string().check(z.maxLength(64))),
  created: z.int().check(z.minimum(0), z.maximum(4_102_444_800)),
  data: z.looseObject({ object: z.looseObject({}) }),
});

const thinNotification = z.looseObject({
  ...identity,
  object: z.literal("v2.core.event"),
  livemode: z._default(z.boolean(), false),
  created: z.string().check(z.maxLength(64), z.refine((value) => !Number.isNaN(Date.parse(value)))),
});

/**
 * Parses a verified body.
 * @throws AppError `invalid_payload` when it is not a Stripe event.
 */
export function parseEnvelope(body: Uint8Array): Envelope {
  const payload = parseObject(body);
  const event = snapshot.safeParse(payload);
  if (event.success) {
    const { id, type, livemode, api_version: apiVersion, created } = event.data;
    return {
      id,
      type,
      livemode,
      apiVersion: apiVersion ?? "none",
      created: new Date(created * 1000),
      thin: false,
      payload,
    };
  }
  const notification = thinNotification.safeParse(payload);
  if (!notification.success) throw new AppError("invalid_payload");
  const { id, type, livemode, created } = notification.data;
  return { id, type, livemode, apiVersion: "v2", created: new Date(created), thin: true, payload };
}

function parseObject(body: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    throw new AppError("invalid_payload", { cause: error });
  }
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject || !isShallow(value)) throw new AppError("invalid_payload");
  return value as Record<string, unknown>;
}

/** Walks without recursion: the value may be nested deeper than the stack. */
function isShallow(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; depth <= depthLimit; depth++) {
    level = level.flatMap((item) => typeof item === "object" && item !== null ? Object.values(item) : []);
    if (level.length === 0) return true;
  }
  return false;
}
