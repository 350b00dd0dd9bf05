/** What every provider of mail must do, whichever it is: a new one is a row in `providers`. */
import assert from "node:assert/strict";
import { mailProvider } from "../../supabase/functions/_shared/mail_providers/mod.ts";
import { postmark } from "../../supabase/functions/_shared/mail_providers/postmark.ts";
import type {
  Mail,
  MailAnswer,
  MailProvider,
} from "../../supabase/functions/_shared/mail_providers/provider.ts";
import { resend } from "../../supabase/functions/_shared/mail_providers/resend.ts";
import { testEnv } from "./fakes.ts";

type Answer = [status: number, body: unknown, headers?: Record<string, string>];

interface Case {
  make: (fetcher: typeof fetch) => MailProvider;
  /** Where what we asked for stands in the request. */
  read: (body: Record<string, unknown>, headers: Headers) => Record<string, unknown>;
  accepted: Answer;
  answers: [MailAnswer["kind"], string, Answer][];
}

const providers: Record<string, Case> = {
  resend: {
    make: (fetcher) => resend({ apiKey: "re_key", apiBase: "https://resend.example" }, fetcher),
    read: (body, headers) => ({
      key: headers.get("authorization"),
      repeat: headers.get("idempotency-key"),
      to: body["to"],
      from: body["from"],
      replyTo: body["reply_to"],
      subject: body["subject"],
      text: body["text"],
      html: body["html"],
      headers: body["headers"],
      notification: JSON.stringify(body["tags"]),
    }),
    accepted: [200, { id: "m1" }],
    answers: [
      ["unauthorized", "no key", [401, { name: "missing_api_key", message: "Missing API Key" }]],
      ["unauthorized", "a revoked key", [403, { name: "invalid_api_key", message: "API key is invalid" }]],
      ["unauthorized", "a sender", [422, { name: "invalid_from_address", message: "Invalid `from` field." }]],
      ["unauthorized", "a plan", [429, { name: "daily_quota_exceeded", message: "quota" }]],
      ["refused", "a recipient", [422, { name: "validation_error", message: "Invalid `to` field." }]],
      ["misunderstood", "a subject", [422, {
        name: "validation_error",
        message: "The `subject` is too long.",
      }]],
      ["misunderstood", "what looks unsafe in it", [451, { name: "security_error" }]],
      ["misunderstood", "its size", [413, "<html>"]],
      ["misunderstood", "the same mail at once", [409, { name: "concurrent_idempotent_requests" }]],
      ["sent", "the same mail in other words", [409, { name: "invalid_idempotent_request" }]],
      ["busy", "too many", [429, { name: "rate_limit_exceeded" }, { "retry-after": "7" }]],
      ["down", "an outage", [500, { name: "application_error" }]],
      ["down", "a proxy's page", [502, "<html>"]],
      ["down", "no id", [200, {}]],
    ],
  },
  postmark: {
    make: (fetcher) => postmark({ serverToken: "token" }, fetcher),
    read: (body, headers) => ({
      key: headers.get("x-postmark-server-token"),
      to: body["To"],
      from: body["From"],
      replyTo: body["ReplyTo"],
      subject: body["Subject"],
      text: body["TextBody"],
      html: body["HtmlBody"],
      headers: Object.fromEntries(
        (body["Headers"] as { Name: string; Value: string }[]).map(({ Name, Value }) => [Name, Value]),
      ),
      notification: JSON.stringify(body["Metadata"]),
    }),
    accepted: [200, { To: "ada@example.com", MessageID: "m1", ErrorCode: 0, Message: "OK" }],
    answers: [
      ["unauthorized", "no token", [401, { ErrorCode: 10, Message: "Bad or missing API token" }]],
      ["unauthorized", "no sender", [422, { ErrorCode: 400, Message: "Sender signature not found" }]],
      ["unauthorized", "a sender", [422, { ErrorCode: 300, Message: "Invalid 'From' address: 'x'." }]],
      ["unauthorized", "a plan", [422, { ErrorCode: 405, Message: "Not allowed to send" }]],
      ["refused", "a bounced recipient", [422, { ErrorCode: 406, Message: "marked as inactive" }]],
      ["refused", "a recipient", [422, { ErrorCode: 300, Message: "Error parsing 'To': Illegal email" }]],
      ["misunderstood", "a body", [422, { ErrorCode: 300, Message: "Provide either TextBody or HtmlBody" }]],
      ["busy", "too many", [429, { ErrorCode: 429 }, { "retry-after": "7" }]],
      ["down", "an outage", [500, {}]],
      ["down", "maintenance", [503, { ErrorCode: 100, Message: "Maintenance" }]],
      ["down", "a proxy's page", [502, "<html>"]],
    ],
  },
};

const mail: Mail = {
  from: '"Shop" <orders@shop.example>',
  to: "ada@example.com",
  replyTo: "service@shop.example",
  subject: "Your order – T-1",
  text: "text",
  html: "<p>html</p>",
  headers: {
    "List-Unsubscribe": "<https://x.example/u>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
  },
  notificationId: "n1",
};

function answering([status, body, headers]: Answer) {
  const asked: Request[] = [];
  const fetcher: typeof fetch = (url, init) => {
    asked.push(new Request(url as string, init));
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return Promise.resolve(new Response(text, { status, ...(headers === undefined ? {} : { headers }) }));
  };
  return { asked, fetcher };
}

for (const [name, { make, read, accepted, answers }] of Object.entries(providers)) {
  Deno.test(`${name}: all of a mail reaches the provider, and its id comes back`, async () => {
    const { asked, fetcher } = answering(accepted);
    assert.deepEqual(await make(fetcher).send(mail, "key_1"), { kind: "sent", id: "m1" });
    const [request] = asked;
    assert.ok(request);
    assert.equal(new URL(request.url).protocol, "https:");
    const seen = read(await request.json(), request.headers);
    const { key, repeat, notification, ...rest } = seen;
    const { notificationId: _, ...sent } = mail;
    assert.deepEqual(rest, sent);
    assert.match(String(key), /re_key|token/);
    assert.ok(repeat === undefined || repeat === "key_1");
    assert.match(String(notification), /notification_id.*n1/);
  });

  Deno.test(`${name}: a mail without the rest is one too`, async () => {
    const { asked, fetcher } = answering(accepted);
    const { replyTo: _replyTo, headers: _headers, ...bare } = mail;
    assert.equal((await make(fetcher).send({ ...bare, notificationId: null }, "k")).kind, "sent");
    assert.doesNotMatch(await asked[0]?.text() ?? "", /notification_id|undefined|null/);
  });

  for (const [kind, what, answer] of answers) {
    Deno.test(`${name}: ${what} is ${kind}`, async () => {
      const said = await make(answering(answer).fetcher).send(mail, "k");
      assert.equal(said.kind, kind);
      if (said.kind === "busy") assert.ok(said.waitMs >= 7_000 && said.waitMs <= 11_000, `${said.waitMs}`);
      if ("error" in said) assert.match(said.error, new RegExp(`^${name} ${answer[0]}: .`));
    });
  }

  Deno.test(`${name}: no answer is an outage`, async () => {
    const provider = make(() => Promise.reject(new TypeError("connection refused")));
    assert.deepEqual(await provider.send(mail, "k"), { kind: "down", error: `${name}: connection refused` });
  });
}

Deno.test("MAIL_PROVIDER chooses who sends; without its key or a sender there is none", () => {
  const keys = {
    RESEND_API_KEY: "re_unit_tests",
    POSTMARK_SERVER_TOKEN: "pm_unit_tests",
    EMAIL_FROM: "a@b.example",
  };
  const chosen = (env: Record<string, string | undefined>) =>
    mailProvider(testEnv({ ...keys, ...env }), fetch)?.provider.name ?? null;
  assert.equal(chosen({}), "resend");
  assert.equal(chosen({ MAIL_PROVIDER: "postmark" }), "postmark");
  assert.equal(chosen({ RESEND_API_KEY: undefined }), null);
  assert.equal(mailProvider(testEnv({}), fetch), null);
  assert.throws(() => testEnv({ MAIL_PROVIDER: "postmark" }), /POSTMARK_SERVER_TOKEN: missing/);
});
