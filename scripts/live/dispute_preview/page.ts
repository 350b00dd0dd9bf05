/** The preview as a page that needs nothing beside it, to look at, print or mail. */
import { formatMoney } from "../../../supabase/functions/_shared/stripe/money.ts";
import type { Preview, PreviewFile, PreviewText, Whose } from "./preview.ts";

const labels: Record<Whose, string> = { shop: "by the shop", person: "by hand", stripe: "by Stripe" };

const notices: Record<NonNullable<Preview["obstacle"]>, string> = {
  fee: "Fighting this case costs a fee. Nothing is sent unless you agree to it (p_acknowledge_fee => true).",
  no_field: "Stripe takes no evidence in this round. See the dashboard for what can be done.",
};

const style = `
:root { color-scheme: light; --line: #d8d8dd; --quiet: #5c5c66; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; font: 15px/1.5 system-ui, sans-serif; color: #1c1c1e; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; }
.quiet { color: var(--quiet); }
.notice { border: 1px solid #b45309; background: #fff7ed; border-radius: 6px; padding: .5rem .75rem; margin: 1rem 0; }
dl { display: grid; grid-template-columns: 17rem 1fr; margin: 0; border-top: 1px solid var(--line); }
dt, dd { margin: 0; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line); }
dt { font-family: ui-monospace, monospace; font-size: .85rem; overflow-wrap: anywhere; }
dd { white-space: pre-wrap; overflow-wrap: anywhere; }
.whose { font: 12px/1.6 system-ui, sans-serif; border-radius: 9px; padding: 0 .5rem; display: inline-block; }
.shop { background: #e0f2fe; color: #075985; }
.person { background: #dcfce7; color: #166534; }
.stripe { background: #f1f1f4; color: #4a4a55; }
.sheet { background: #fff; border: 1px solid var(--line); box-shadow: 0 1px 4px #0002; padding: 2rem; margin: .75rem 0;
  font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
img { max-width: 100%; border: 1px solid var(--line); }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dt { border-bottom: 0; padding-bottom: 0; } }
@media print { .sheet { break-inside: avoid; box-shadow: none; } }`;

/** The page's HTML. Files that are not shown in it are linked by their names. */
export function previewPage(preview: Preview): string {
  const { dispute, order, open, obstacle, texts, files, missing } = preview;
  const due = dispute.evidence_details.due_by;
  const facts = [
    formatMoney(dispute.amount, dispute.currency),
    dispute.reason.replaceAll("_", " "),
    dispute.payment_method_details?.type ?? "card",
    `order ${order}`,
    open && due ? `answer by ${new Date(due * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC` : null,
  ].filter((fact) => fact !== null);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Evidence ${text(dispute.id)}</title>
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<style>${style}</style></head><body>
<h1>${open ? "What the bank will see" : "What the bank has been sent"}</h1>
<p>${text(facts.join(" · "))}</p>
<p class="quiet">${text(dispute.id)} · ${text(dispute.status)}. ${
    open ? "Nothing is sent by looking. What is submitted is final." : ""
  }</p>
${obstacle === null ? "" : `<p class="notice" role="note">${text(notices[obstacle])}</p>`}
<h2>Fields</h2>
<dl>${texts.map(textRow).join("")}</dl>
${
    missing.length === 0
      ? ""
      : `<p class="quiet" id="missing">Would help, and is not known: ${text(missing.join(", "))}.</p>`
  }
<h2>Files</h2>
${files.length === 0 ? '<p class="quiet">None.</p>' : files.map(fileBlock).join("")}
</body></html>
`;
}

function textRow({ field, text: value, whose }: PreviewText): string {
  return `<dt>${text(field)}<br>${badge(whose)}</dt><dd>${text(value)}</dd>`;
}

function fileBlock({ field, name, bytes, whose, pages }: PreviewFile): string {
  const sheets =
    pages?.map((rows) =>
      `<div class="sheet">${
        rows.map((row) => row.bold ? `<b>${text(row.text)}</b>` : text(row.text)).join("\n")
      }</div>`
    ).join("") ?? picture(name, bytes);
  const size = bytes.length < 1024 ? `${bytes.length} B` : `${Math.ceil(bytes.length / 1024)} kB`;
  return `<section><p><code>${text(field)}</code> ${badge(whose)} <a href="${text(name)}">${
    text(name)
  }</a> ` +
    `<span class="quiet">${size}</span></p>${sheets}</section>`;
}

/** A person's picture; their PDF is opened by its link. */
function picture(name: string, bytes: Uint8Array): string {
  const type = bytes[0] === 0x89 ? "png" : bytes[0] === 0xff ? "jpeg" : null;
  return type === null ? "" : `<img alt="${text(name)}" src="data:image/${type};base64,${bytes.toBase64()}">`;
}

function badge(whose: Whose): string {
  return `<span class="whose ${whose}">${labels[whose]}</span>`;
}

const entities: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function text(value: string): string {
  return value.replace(/[&<>"']/g, (letter) => entities[letter] ?? letter);
}
