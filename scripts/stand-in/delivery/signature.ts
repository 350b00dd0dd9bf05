import { createHmac } from "node:crypto";

/** The `Stripe-Signature` header for a body: one `v1` per secret, as while a secret is being rolled. */
export function signatureHeader(body: string, secrets: readonly string[], timestamp: number): string {
  const signatures = secrets.map((secret) =>
    `v1=${createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex")}`
  );
  return [`t=${timestamp}`, ...signatures].join(",");
}
