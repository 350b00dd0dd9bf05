import type Stripe from "stripe";
import { type Context, idOf, need } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import {
  clearable,
  type Field,
  metadata,
  type MetadataChange,
  paramsOf,
  required,
  text,
  timestamp,
} from "../core/fields.ts";
import { newId } from "../core/ids.ts";
import { datedListParams, listObject, listOf, type PageInput, type Route, route } from "../core/router.ts";
import { checkFuture } from "../core/rules.ts";
import { changedMetadata } from "../checkout/session_internals.ts";

/** Purposes whose files may be shown to whoever has a link. */
const LINKABLE = ["business_icon", "business_logo", "dispute_evidence", "pci_document"];

interface LinkInput {
  expires_at?: number;
  metadata?: MetadataChange;
}

/** A public address of a file. `param` names the parameter with the time of its end. */
export function createFileLink(
  context: Context,
  file: Stripe.File,
  input: LinkInput,
  param = "expires_at",
): Stripe.FileLink {
  if (!LINKABLE.includes(file.purpose)) {
    throw invalidRequest(`Files with the purpose '${file.purpose}' cannot be shared with a link.`, "file");
  }
  checkFuture(context, input.expires_at, param);
  const link: Stripe.FileLink = {
    id: newId("file_link"),
    object: "file_link",
    created: context.now,
    expired: false,
    expires_at: input.expires_at ?? null,
    file: file.id,
    livemode: false,
    metadata: changedMetadata({}, input.metadata),
    url: `${context.baseUrl}/links/${newId("token")}`,
  };
  return save(context, link);
}

/** Keeps a link, and with its file the links that it has. */
function save(context: Context, link: Stripe.FileLink): Stripe.FileLink {
  context.store.put("file_link", link);
  const file = need(context, "file", idOf(link.file) ?? "");
  const links = context.store.all("file_link", ["file", file.id]).map((each) => currentLink(context, each));
  const list = listObject(`/v1/file_links?file=${file.id}`, links, false);
  context.store.put("file", { ...file, links: list as Stripe.ApiList<Stripe.FileLink> });
  return link;
}

/** A link as it is now. */
export function currentLink(context: Context, link: Stripe.FileLink): Stripe.FileLink {
  return { ...link, expired: link.expires_at !== null && link.expires_at <= context.now };
}

const endOfLink: Field<"now" | number | null> = clearable({
  read: (node, context) => node === "now" ? "now" as const : timestamp.read(node, context),
});

/** `/v1/file_links` */
export const fileLinkRoutes: Route[] = [
  route(
    "POST",
    "/v1/file_links",
    paramsOf<Stripe.FileLinkCreateParams>()({ expires_at: timestamp, file: required(text()), metadata }),
    (context, { file, ...input }) => createFileLink(context, need(context, "file", file, "file"), input),
  ),
  route(
    "GET",
    "/v1/file_links/:id",
    paramsOf<unknown>()({}),
    (context, _params, id) => currentLink(context, need(context, "file_link", id)),
  ),
  route(
    "POST",
    "/v1/file_links/:id",
    paramsOf<Stripe.FileLinkUpdateParams>()({ expires_at: endOfLink, metadata }),
    (context, params, id) => {
      const link = currentLink(context, need(context, "file_link", id));
      const { expires_at: end } = params;
      if (end !== undefined && link.expired) {
        throw invalidRequest("This link has expired and cannot be updated.", "expires_at");
      }
      if (typeof end === "number") checkFuture(context, end, "expires_at");
      return currentLink(
        context,
        save(context, {
          ...link,
          ...(end === undefined ? {} : { expires_at: end === "now" ? context.now : end }),
          metadata: changedMetadata(link.metadata, params.metadata),
        }),
      );
    },
  ),
  route(
    "GET",
    "/v1/file_links",
    paramsOf<Stripe.FileLinkListParams>()({ ...datedListParams, file: text() }, { unsupported: ["expired"] }),
    (context, params) => {
      const filters = params.file === undefined ? [] : [["file", params.file] as const];
      const page = listOf(context, "file_link", "/v1/file_links", params as PageInput, filters);
      return { ...page, data: page.data.map((link) => currentLink(context, link)) };
    },
  ),
];
