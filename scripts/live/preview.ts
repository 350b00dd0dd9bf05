/**
 * `deno task preview`: what a mail says for an order, on a running stack or a project, whether the order has had such a
 * mail or not. Sends and changes nothing.
 */
import { templateNames } from "../../supabase/functions/_shared/mails/mod.ts";
import { connect } from "../lib/connection.ts";
import { TaskError } from "../lib/errors.ts";
import { mailPreview } from "../lib/mail_preview.ts";
import { readStackFile } from "../lib/stack_file.ts";
import { runTask, UsageError } from "../lib/task.ts";
import { findSource, type Source } from "./doctor/subject.ts";

const usage = `deno task preview [template] [order] [--locale de] [--html FILE] [--env .env]

  template  order_confirmation when left out; ${templateNames.slice(1).join(", ")}
  order     its number; without it, the newest order
  --locale  the language; without it, the order's own
  --html    writes the HTML part to this file, to open in a browser
  --env     the project of this file, which needs SUPABASE_DB_URL; else what deno task doctor would look at`;

const flags = { locale: { type: "string" }, html: { type: "string" }, env: { type: "string" } } as const;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      positionals: true,
      run: ({ values, positionals }) => main(positionals, values),
    }, Deno.args),
  );
}

async function main(
  [template = "order_confirmation", order = "", ...surplus]: string[],
  { locale = "", html, env }: { locale?: string; html?: string; env?: string },
): Promise<number> {
  if (!templateNames.includes(template)) {
    throw new UsageError(`No template ${template}: one of ${templateNames.join(", ")}`);
  }
  if (surplus.length > 0) throw new UsageError(`One order at a time, not ${surplus.join(" ")} too`);
  const source = await findSource(env ?? null, Deno.env.toObject());
  const siteUrl = source.values["SITE_URL"];
  if (!siteUrl) throw new TaskError(`${source.name} has no SITE_URL, where links of mails lead to`);
  const sql = connect(await databaseOf(source), { connection: { default_transaction_read_only: true } });
  try {
    const preview = mailPreview({ query: (text, parameters) => sql.unsafe(text, parameters) });
    const mail = await preview({ template, order, locale }, siteUrl.replace(/\/+$/, ""));
    if (mail === null) {
      throw new TaskError(order === "" ? "There is no order yet" : `There is no order ${order}`);
    }
    console.log(`Subject: ${mail.subject}\n\n${mail.text}`);
    if (html !== undefined) await Deno.writeTextFile(html, mail.html);
    return 0;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function databaseOf({ kind, name, values }: Source): Promise<string> {
  const url = kind === "local"
    ? (await readStackFile(Deno.env.get("LOCAL_DIR") ?? ".local"))?.db_url
    : values["SUPABASE_DB_URL"];
  if (!url) throw new TaskError(`${name} has no SUPABASE_DB_URL: copy it from the dashboard, Connect`);
  return url;
}
