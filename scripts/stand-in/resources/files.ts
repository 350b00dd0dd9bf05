import type Stripe from "stripe";
import { type Context, idOf, need } from "../core/context.ts";
import { invalidRequest, unsupported } from "../core/errors.ts";
import { type Field, map, metadata, oneOf, paramsOf, required, timestamp, truth } from "../core/fields.ts";
import { newId } from "../core/ids.ts";
import { datedListParams, listObject, listRoute, type Route, route } from "../core/router.ts";
import { FileAnswer, type Upload, upload } from "../core/uploads.ts";
import { createFileLink, currentLink } from "./file_links.ts";

const MB = 1024 * 1024;
const DAY_S = 24 * 3600;

/** What is known of a purpose: https://docs.stripe.com/file-upload */
interface Purpose {
  types: readonly FileType[];
  max: number;
  /** Seconds that a file is kept; null: for good. */
  kept: number | null;
  /** Whether its contents can be fetched. */
  readable: boolean;
}

type FileType = "gif" | "jpg" | "pdf" | "png";

const DOCUMENT = ["pdf", "jpg", "png"] as const;
const IMAGE = ["jpg", "png", "gif"] as const;

const PURPOSES: Readonly<Record<string, Purpose>> = {
  account_requirement: { types: DOCUMENT, max: 16 * MB, kept: null, readable: false },
  additional_verification: { types: DOCUMENT, max: 16 * MB, kept: null, readable: false },
  business_icon: { types: IMAGE, max: MB / 2, kept: null, readable: true },
  business_logo: { types: IMAGE, max: MB / 2, kept: null, readable: true },
  dispute_evidence: { types: DOCUMENT, max: 5 * MB, kept: 270 * DAY_S, readable: true },
  identity_document: { types: DOCUMENT, max: 16 * MB, kept: null, readable: false },
  pci_document: { types: ["pdf"], max: 16 * MB, kept: null, readable: true },
};

/** Purposes of things that the stand-in has not: Issuing, Terminal, tax forms, signatures as drawings. */
const OTHER_PURPOSES = [
  "customer_signature",
  "issuing_regulatory_reporting",
  "platform_terms_of_service",
  "tax_document_user_upload",
  "terminal_android_apk",
  "terminal_reader_splashscreen",
  "terminal_wifi_certificate",
  "terminal_wifi_private_key",
];

/** What Stripe itself makes files for. */
const STRIPES_PURPOSES = [
  "document_provider_identity_document",
  "finance_report_run",
  "financial_account_statement",
  "identity_document_downloadable",
  "selfie",
  "sigma_scheduled_query",
];

const MIME: Record<FileType, string> = {
  gif: "image/gif",
  jpg: "image/jpeg",
  pdf: "application/pdf",
  png: "image/png",
};

/** Stripe looks at what a file is, not at what it is called. */
const MAGIC: readonly (readonly [FileType, string])[] = [
  ["pdf", "%PDF-"],
  ["png", "\x89PNG\r\n\x1a\n"],
  ["jpg", "\xff\xd8\xff"],
  ["gif", "GIF8"],
];

const MAX_PAGES = 50;

const latin1 = new TextDecoder("latin1");

const purpose: Field<string> = {
  read(node, context) {
    const value = oneOf(...Object.keys(PURPOSES), ...OTHER_PURPOSES).read(node, context);
    if (PURPOSES[value] === undefined) throw unsupported(`files of the purpose \`${value}\``);
    return value;
  },
};

function typeOf(bytes: Uint8Array): FileType | undefined {
  const start = String.fromCharCode(...bytes.subarray(0, 16));
  return MAGIC.find(([, magic]) => start.startsWith(magic))?.[0];
}

/** Pages of a PDF whose page objects are not compressed. */
function pagesOf(type: FileType, bytes: Uint8Array): number {
  if (type !== "pdf") return 1;
  return [...latin1.decode(bytes).matchAll(/\/Type\s*\/Page(?![A-Za-z])/g)].length;
}

/** The type of an upload, once it is known to be what its purpose takes. */
function checkedType({ bytes }: Upload, { types, max }: Purpose): FileType {
  const type = typeOf(bytes);
  if (type === undefined || !types.includes(type)) {
    const taken = types.map((each) => MIME[each]).sort().join(", ");
    throw invalidRequest(
      `We don't currently support that file type. Try uploading a file with one of the following mimetypes: ${taken}.`,
      "file",
    );
  }
  if (bytes.length > max) {
    throw invalidRequest(
      `The file you uploaded was too large. Please upload a file smaller than ${
        max < MB ? `${max / 1024}KB` : `${max / MB}MB`
      }.`,
      "file",
    );
  }
  if (pagesOf(type, bytes) > MAX_PAGES) {
    throw invalidRequest(
      `The file you uploaded was too long. Please upload a file with fewer than ${MAX_PAGES} pages.`,
      "file",
    );
  }
  return type;
}

function createFile(context: Context, file: Upload, purpose: string): Stripe.File {
  const rules = PURPOSES[purpose];
  if (rules === undefined) throw unsupported(`files of the purpose \`${purpose}\``);
  const type = checkedType(file, rules);
  const id = newId("file");
  const created: Stripe.File = {
    id,
    object: "file",
    created: context.now,
    expires_at: rules.kept === null ? null : context.now + rules.kept,
    filename: file.name,
    links: listObject(`/v1/file_links?file=${id}`, [], false) as Stripe.ApiList<Stripe.FileLink>,
    purpose,
    size: file.bytes.length,
    title: null,
    type,
    url: `${context.baseUrl}/v1/files/${id}/contents`,
  };
  context.store.put("file", created);
  context.store.setInternals("file", id, { data: file.bytes.toBase64() });
  context.emit("file.created", created);
  return created;
}

/** What is in a file. */
function contentsOf(context: Context, id: string): FileAnswer {
  const file = need(context, "file", id);
  if (PURPOSES[file.purpose]?.readable !== true) {
    throw invalidRequest(`Files with the purpose '${file.purpose}' cannot be downloaded.`, "id");
  }
  const bytes = Uint8Array.fromBase64(context.store.internals("file", id)?.data ?? "");
  return new FileAnswer(bytes, MIME[file.type as FileType]);
}

/** What stands at the address of a link: the file, to everybody. */
export function linkedFile(context: Context, url: string): Response {
  const [link] = context.store.all("file_link", ["url", url]);
  if (link === undefined || currentLink(context, link).expired) {
    return new Response("This link is not valid.", { status: 404 });
  }
  const { bytes, contentType } = contentsOf(context, idOf(link.file) ?? "");
  return new Response(bytes.slice(), { headers: { "content-type": contentType } });
}

/** `/v1/files`, which the libraries send to files.stripe.com when they speak to Stripe itself. */
export const fileRoutes: Route[] = [
  route(
    "POST",
    "/v1/files",
    paramsOf<Stripe.FileCreateParams>()({
      file: required(upload),
      purpose: required(purpose),
      file_link_data: map({ create: required(truth), expires_at: timestamp, metadata }),
    }),
    (context, { file, purpose, file_link_data }) => {
      const created = createFile(context, file, purpose);
      if (file_link_data?.create !== true) return created;
      createFileLink(context, created, file_link_data, "file_link_data[expires_at]");
      return need(context, "file", created.id);
    },
  ),
  route("GET", "/v1/files/:id", paramsOf<unknown>()({}), (context, _params, id) => need(context, "file", id)),
  route(
    "GET",
    "/v1/files/:id/contents",
    paramsOf<unknown>()({}),
    (context, _params, id) => contentsOf(context, id),
  ),
  listRoute(
    "/v1/files",
    "file",
    paramsOf<Stripe.FileListParams>()({
      ...datedListParams,
      purpose: oneOf(...Object.keys(PURPOSES), ...OTHER_PURPOSES, ...STRIPES_PURPOSES),
    }),
  ),
];
