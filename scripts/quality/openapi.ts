/** `docs/openapi.json`: the HTTP API of the functions, generated from the schemas that the functions check with. */
import { errorAnswer, jsonSchema } from "../../supabase/functions/_shared/http/answers.ts";
import { AppError, type ErrorCode } from "../../supabase/functions/_shared/errors.ts";
import { type Access, type Json, type Operation, OPERATIONS, TEXT } from "./openapi/operations.ts";

/** Where the document is kept, from the project's root. */
export const OPENAPI_PATH = "docs/openapi.json";

/** What any endpoint may answer. */
const COMMON_ERRORS: ErrorCode[] = ["method_not_allowed", "internal_error"];

/** With Retry-After. */
const RETRY_STATUSES = ["429", "503"];

/** The document as text, as it is kept in the repository. */
export function openapi(): string {
  const paths: Record<string, Json> = {};
  for (const [name, operation] of Object.entries(OPERATIONS)) {
    const path = `/functions/v1/${operation.at ?? name}`;
    paths[path] = { ...paths[path], [operation.method]: operationOf(name, operation) };
  }
  const document = {
    openapi: "3.1.0",
    info: {
      title: "KCT Menswear payments",
      version: "1",
      description: "Every answer carries x-request-id. Browsers may call from ALLOWED_ORIGINS only.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "https://{project}.supabase.co", variables: { project: { default: "project-ref" } } }],
    paths,
    components: {
      schemas: { Error: jsonSchema(errorAnswer, "output") },
      securitySchemes: {
        publishableKey: { type: "apiKey", in: "header", name: "apikey", description: "sb_publishable_…" },
        secretKey: {
          type: "apiKey",
          in: "header",
          name: "apikey",
          description: "sb_secret_…; never in a browser",
        },
        user: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "A signed-in customer's access token",
        },
        stripeSignature: { type: "apiKey", in: "header", name: "stripe-signature" },
        svixSignature: { type: "apiKey", in: "header", name: "svix-signature" },
      },
    },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function operationOf(name: string, operation: Operation): Json {
  const { summary, description, parameters, body, bodyTypes = ["application/json"] } = operation;
  return {
    operationId: name,
    summary,
    ...(description === undefined ? {} : { description }),
    security: securityOf(operation.access),
    ...(parameters === undefined ? {} : { parameters }),
    ...(body === undefined ? {} : {
      requestBody: {
        required: true,
        content: Object.fromEntries(bodyTypes.map((type) => [type, { schema: body }])),
      },
    }),
    responses: { ...errorAnswers(operation), ...operation.answers },
  };
}

function securityOf(access: Access): Json[] {
  const needs: Record<Access, Json[]> = {
    "publishable": [{ publishableKey: [] }],
    "publishable or user": [{ publishableKey: [] }, { publishableKey: [], user: [] }],
    "secret": [{ secretKey: [] }],
    "secret or none": [{}, { secretKey: [] }],
    "signature": [{ stripeSignature: [] }],
    "mail signature": [{ svixSignature: [] }],
    "none": [],
  };
  return needs[access];
}

/** One response per status, naming the codes that it can carry. */
function errorAnswers({ errors: codes, readable }: Operation): Record<string, Json> {
  const byStatus = new Map<string, AppError[]>();
  for (const code of [...codes, ...COMMON_ERRORS]) {
    const error = new AppError(code);
    byStatus.set(String(error.status), [...(byStatus.get(String(error.status)) ?? []), error]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, errors]) => [status, {
      description: errors.map(({ code, message }) => `${code}: ${message}`).join(" "),
      ...(RETRY_STATUSES.includes(status)
        ? {
          headers: {
            "retry-after": { description: "Seconds to wait.", schema: { type: "integer", minimum: 1 } },
          },
        }
        : {}),
      content: {
        "application/json": {
          schema: {
            allOf: [
              { $ref: "#/components/schemas/Error" },
              { properties: { error: { properties: { code: { enum: errors.map(({ code }) => code) } } } } },
            ],
          },
        },
        ...(readable ? { "text/plain": TEXT } : {}),
      },
    }]),
  );
}

if (import.meta.main) {
  await Deno.writeTextFile(new URL(`../../${OPENAPI_PATH}`, import.meta.url), openapi());
  console.log(`Wrote ${OPENAPI_PATH}`);
}
