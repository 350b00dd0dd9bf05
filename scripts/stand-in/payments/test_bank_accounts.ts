/** How a bank debit ends: both take the pace's time unless they say otherwise. */
export interface BankBehaviour {
  method: "sepa_debit" | "us_bank_account";
  last4: string;
  country: string;
  outcome: "failed" | "succeeded";
  failureCode: string | null;
  /** `soon`: as fast as a webhook; `held`: after the pace's time, or when `/_control/settle` says so. */
  settles: "held" | "soon";
}

/** US test account numbers, and the failure each produces. */
const US_ACCOUNTS: Record<string, string | null> = {
  "000123456789": null,
  "000111111113": "account_closed",
  "000111111116": "no_account",
  "000222222227": "insufficient_funds",
  "000333333335": "debit_not_authorized",
  "000444444440": "invalid_currency",
};

/** IBANs that fail; every other well-formed one succeeds. */
const FAILING_IBANS = ["AT861904300235473202", "DE62370400440532013001", "IT60X0542811101000000123456"];

/** IBANs of Stripe's test suite that stay in processing for minutes. */
const SLOW_IBANS = [
  "AT321904300235473204",
  "DE08370400440532013003",
  "AT981904300000235473",
  "AT961904300235473203",
];

/** The behaviour of a US account number; undefined when Stripe's test mode does not know it. */
export function usBankAccount(accountNumber: string): BankBehaviour | undefined {
  if (!Object.hasOwn(US_ACCOUNTS, accountNumber)) return undefined;
  const failureCode = US_ACCOUNTS[accountNumber] ?? null;
  return {
    method: "us_bank_account",
    last4: accountNumber.slice(-4),
    country: "US",
    outcome: failureCode === null ? "succeeded" : "failed",
    failureCode,
    settles: "held",
  };
}

/** The behaviour of an IBAN; undefined when it is not an IBAN. */
export function sepaDebit(iban: string): BankBehaviour | undefined {
  const compact = iban.replaceAll(" ", "").toUpperCase();
  if (!/^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/.test(compact)) return undefined;
  const fails = FAILING_IBANS.includes(compact);
  return {
    method: "sepa_debit",
    last4: compact.slice(-4),
    country: compact.slice(0, 2),
    outcome: fails ? "failed" : "succeeded",
    failureCode: fails ? "insufficient_funds" : null,
    settles: SLOW_IBANS.includes(compact) ? "held" : "soon",
  };
}
