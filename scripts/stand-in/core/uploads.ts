/** Files in a request: `multipart/form-data`, which Stripe takes at `/v1/files` alone. */
import { invalidRequest } from "./errors.ts";
import type { Field } from "./fields.ts";

/** A file as it was sent. */
export interface Upload {
  name: string;
  bytes: Uint8Array;
}

/** Larger requests are refused. Stripe's largest purpose takes 16 MB, which base64 makes a third longer. */
export const MAX_UPLOAD_LENGTH = 24_000_000;

const DATA = "file[data]";

/** Whether a request may carry a file. */
export function isUpload(request: Request, url: URL): boolean {
  return url.pathname === "/v1/files" &&
    request.headers.get("content-type")?.startsWith("multipart/form-data") === true;
}

/**
 * The parameters of such a request in the form encoding that all other requests have, the file in base64: so that one
 * reader, one fingerprint and one log serve both. Nothing, when the body is no multipart body: then all is missing.
 */
export async function uploadForm(request: Request): Promise<string> {
  const bytes = await request.arrayBuffer();
  const headers = { "content-type": request.headers.get("content-type") ?? "" };
  const parts = await new Response(bytes, { headers }).formData().catch(() => new FormData());
  const form = new URLSearchParams();
  for (const [name, value] of parts) {
    if (typeof value === "string") form.append(name, value);
    else {
      form.append(`${name}[name]`, value.name);
      form.append(`${name}[data]`, new Uint8Array(await value.arrayBuffer()).toBase64());
    }
  }
  return form.toString();
}

/** A request's body as the log keeps it: without the contents of files. */
export function withoutContents(body: string): string {
  const name = new URLSearchParams([[DATA, ""]]).toString();
  return body.split("&").map((part) => part.startsWith(name) ? `${name}…` : part).join("&");
}

/** The file of a request. */
export const upload: Field<Upload> = {
  read(node, { path }) {
    // A name or an address in place of the file.
    if (typeof node === "string" || Array.isArray(node)) throw invalidRequest("Invalid hash", path);
    const { name, data } = node;
    if (typeof name !== "string" || typeof data !== "string") throw invalidRequest("Invalid hash", path);
    return { name, bytes: Uint8Array.fromBase64(data) };
  },
};

/** An answer that is a file instead of an object. */
export class FileAnswer {
  constructor(readonly bytes: Uint8Array, readonly contentType: string) {}
}
