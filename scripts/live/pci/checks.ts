/** The names of the checks that `docs/pci/controls.yaml` may ask for. */
export const checkNames = [
  "admins",
  "alerts",
  "audit-trail",
  "card-numbers-code",
  "card-numbers-database",
  "card-numbers-logs",
  "configuration",
  "dependencies",
  "key-ages",
  "password-rules",
  "payment-page",
  "platform-members",
  "retention",
  "rights",
  "secrets-code",
  "site",
] as const;

/** One of them. */
export type CheckName = typeof checkNames[number];
