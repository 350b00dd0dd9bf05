/** Resend's webhook, which says what became of each mail (https://resend.com/docs/api-reference/webhooks). */
import { z } from "zod";
import { reportTypes } from "../../../supabase/functions/mail-webhook/mail_event.ts";
import { setInEnvFile } from "./env_file.ts";
import { type Project, SetupError } from "./project.ts";
import { type Plan, settled, type SetupStep } from "./step.ts";

const variable = "RESEND_WEBHOOK_SECRETS";
const timeoutMs = 15_000;

const webhooksSchema = z.object({
  data: z.array(z.object({
    id: z.string(),
    endpoint: z.string(),
    status: z.string(),
    events: z.array(z.string()).nullable(),
  })),
});
const secretSchema = z.object({ signing_secret: z.string().min(1) });

/**
 * Creates the webhook, or brings its events and state up to date. Nothing to do while Resend sends no mail, or where
 * the key may only send, as the functions' key should: then it is said how it gets done.
 */
export const mailWebhook: SetupStep = {
  name: "mail webhook",
  async plan({ project, say }) {
    const { env, values } = project;
    if (env.mailProvider !== "resend" || env.resend === null || env.emailFrom === null) return settled;
    const url = mailWebhookUrl(project);
    const resend = resendApi(env.resend.apiBase, values["RESEND_SETUP_API_KEY"] ?? env.resend.apiKey);
    const own = await webhooksAt(url, resend);
    if (own === refused) {
      if (secretsOf(project).length === 0) say(`Resend's webhook is left to you: ${refusedFix}`);
      return settled;
    }
    const [current] = own;
    return current === undefined ? creation(project, resend, url) : update(project, resend, current);
  },
};

/** Where Resend is to post what became of mails. */
export function mailWebhookUrl({ env }: Pick<Project, "env">): string {
  return `${env.supabaseUrl}/functions/v1/mail-webhook`;
}

/** The webhooks at our address, or `refused`. */
export async function webhooksAt(url: string, resend: Resend): Promise<Webhook[] | typeof refused> {
  const list = await resend("GET", "/webhooks?limit=100");
  return list === refused
    ? refused
    : webhooksSchema.parse(list).data.filter(({ endpoint }) => endpoint === url);
}

/** The signing secret of a webhook, which Resend shows at any time. */
export async function signingSecretOf(id: string, resend: Resend): Promise<string> {
  return secretSchema.parse(await resend("GET", `/webhooks/${id}`)).signing_secret;
}

/** Creates a webhook and answers its signing secret. */
export async function createMailWebhook(url: string, events: string[], resend: Resend): Promise<string> {
  return secretSchema.parse(await resend("POST", "/webhooks", { endpoint: url, events })).signing_secret;
}

type Resend = ReturnType<typeof resendApi>;
type Webhook = z.infer<typeof webhooksSchema>["data"][number];

function creation(project: Project, resend: Resend, url: string): Plan {
  return {
    changes: [
      `create ${url} at Resend with ${reportTypes.length} events`,
      `add its signing secret to ${variable} in ${project.envFile}`,
    ],
    apply: async () => {
      await keepSecret(project, await createMailWebhook(url, [...reportTypes], resend));
    },
  };
}

async function update(project: Project, resend: Resend, { id, status, events }: Webhook): Promise<Plan> {
  const path = `/webhooks/${id}`;
  const secret = await signingSecretOf(id, resend);
  const missing = reportTypes.filter((type) => events?.includes(type) !== true);
  const known = secretsOf(project).includes(secret);
  const changes = [
    ...missing.map((type) => `add ${type} to ${id}`),
    ...(status === "enabled" ? [] : [`enable ${id}`]),
  ];
  return {
    changes: [
      ...changes,
      ...(known ? [] : [`add the signing secret of ${id} to ${variable} in ${project.envFile}`]),
    ],
    apply: async () => {
      if (!known) await keepSecret(project, secret);
      if (changes.length === 0) return;
      await resend("PATCH", path, { events: [...events ?? [], ...missing], status: "enabled" });
    },
  };
}

async function keepSecret(project: Project, secret: string): Promise<void> {
  const secrets = [...secretsOf(project), secret].join(",");
  await setInEnvFile(project.envFile, variable, secrets);
  project.values[variable] = secrets;
}

function secretsOf({ values }: Project): string[] {
  return (values[variable] ?? "").split(",").map((secret) => secret.trim()).filter(Boolean);
}

/** The key has no right to this. */
export const refused = Symbol("refused");
const refusedFix =
  "RESEND_API_KEY may only send. Give setup a key with full access as RESEND_SETUP_API_KEY (the " +
  `functions never get it), or add the webhook by hand and name its signing secret in ${variable}`;

/** Answers what Resend answers, or `refused`. @throws SetupError when Resend cannot be asked. */
export function resendApi(base: string, key: string) {
  return async (
    method: "GET" | "POST" | "PATCH" | "DELETE",
    path: string,
    body?: unknown,
  ): Promise<unknown> => {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((error: Error) => {
      throw new SetupError(
        `Resend does not answer at ${base} (${error.message}): try again, or fix RESEND_API_BASE`,
      );
    });
    const text = await response.text();
    if (response.ok) return JSON.parse(text);
    if (response.status === 401 || response.status === 403) return refused;
    throw new SetupError(`Resend answered ${response.status} to ${method} ${path}`);
  };
}
