/**
 * The signing secret of Resend's webhook. Its API cannot roll it, so a second webhook takes the place of the first. With
 * a key that may only send, a person adds and removes webhooks, and hands over the secret.
 */
import { svixHeaders } from "../../../supabase/functions/mail-webhook/signature.ts";
import { reportTypes } from "../../../supabase/functions/mail-webhook/mail_event.ts";
import {
  createMailWebhook,
  mailWebhookUrl,
  refused,
  resendApi,
  signingSecretOf,
  webhooksAt,
} from "../setup/mail_webhook.ts";
import { SetupError } from "../setup/project.ts";
import type { Progress } from "./progress.ts";
import { itemsOf, list, type RotateContext, type Rotation, workerMs } from "./rotation.ts";

const variable = "RESEND_WEBHOOK_SECRETS";
/** A webhook listens to something from its creation on: until the functions know its secret, to what never happens. */
const silence = ["domain.deleted"];

export const mailWebhookSecret: Rotation = {
  variable,
  shape: list,
  checkedHere: true,
  finishAfterMs: workerMs,
  says: {
    obtain: "create a second webhook at Resend that is silent, and have the functions accept both secrets",
    use: "have both webhooks report",
    retire: "delete the first webhook at Resend, and have the functions forget its secret",
  },
  async obtain(context, progress, keep) {
    const found = await webhooks(context, progress);
    const [made] = found?.fresh ?? [];
    if (made !== undefined) await keep(made.secret);
    else if (found !== null) {
      await keep(await createMailWebhook(mailWebhookUrl(context.project), silence, found.resend));
    } else {
      context.say(
        `RESEND_API_KEY may only send: add a webhook to ${mailWebhookUrl(context.project)} at Resend, with ` +
          `${reportTypes.join(", ")}, or name a key with full access as RESEND_SETUP_API_KEY`,
      );
      await keep(await context.ask(variable));
    }
  },
  async notReady(context, { old }) {
    const { project, fetch: post } = context;
    const secret = itemsOf(project.values[variable] ?? "").find((item) => !itemsOf(old).includes(item)) ?? "";
    // Signed and of no kind that is listened to: acknowledged, and nothing is changed.
    const body = new TextEncoder().encode('{"type":"rotate"}');
    const headers = await svixHeaders(body, secret, "rotate", Math.floor(context.now() / 1000));
    const answer = await post(mailWebhookUrl(project), { method: "POST", headers, body });
    await answer.body?.cancel();
    return answer.ok ? null : `mail-webhook does not take what the new secret signs (${answer.status})`;
  },
  async use(context, progress) {
    const found = await webhooks(context, progress);
    for (const { id } of found?.fresh ?? []) {
      await found?.resend("PATCH", `/webhooks/${id}`, { events: reportTypes, status: "enabled" });
    }
  },
  async lost(context, progress) {
    return (await webhooks(context, progress))?.fresh.length === 0
      ? "the second webhook is not at Resend any more: go back and begin again"
      : null;
  },
  async unproved(context, progress) {
    return await webhooks(context, progress) === null
      ? "delete the first webhook at Resend by hand, then call this with --leaked"
      : null;
  },
  async retire(context, progress) {
    const found = await webhooks(context, progress);
    for (const { id } of found?.others ?? []) await found?.resend("DELETE", `/webhooks/${id}`);
  },
  async undo(context, progress) {
    const found = await webhooks(context, progress);
    for (const { id } of found?.fresh ?? []) await found?.resend("DELETE", `/webhooks/${id}`);
  },
};

/** The webhooks at our address, told apart by their secrets; null: the key may not look. */
async function webhooks({ project }: RotateContext, { old }: Progress) {
  const { env, values } = project;
  if (env.resend === null) throw new SetupError("RESEND_API_KEY is not set: Resend cannot be asked");
  const resend = resendApi(env.resend.apiBase, values["RESEND_SETUP_API_KEY"] ?? env.resend.apiKey);
  const own = await webhooksAt(mailWebhookUrl(project), resend);
  if (own === refused) return null;
  const told = await Promise.all(
    own.map(async ({ id }) => ({ id, secret: await signingSecretOf(id, resend) })),
  );
  const isOld = ({ secret }: { secret: string }) => itemsOf(old).includes(secret);
  return { resend, fresh: told.filter((webhook) => !isOld(webhook)), others: told.filter(isOld) };
}
