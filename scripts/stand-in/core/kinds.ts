/** Fields that only some resources have: decimals, statement descriptors, ids of one's own, tax codes. */
import { invalidRequest } from "./errors.ts";
import { type Field, text, textOf } from "./fields.ts";

/** A decimal number kept as text, such as `unit_amount_decimal`. */
export const decimalText: Field<string> = {
  read(node, context) {
    const value = textOf(node, context);
    if (!/^-?\d{1,15}(\.\d+)?$/.test(value)) throw invalidRequest(`Invalid decimal: ${value}`, context.path);
    if ((value.split(".")[1] ?? "").length > 12) {
      throw invalidRequest(`Invalid decimal: ${value}; must contain at most 12 decimal places`, context.path);
    }
    if (value.startsWith("-")) throw invalidRequest("Invalid non-negative decimal", context.path);
    return value;
  },
};

/**
 * What a statement shows: letters, and none of the characters that banks refuse. `shortest` is 1 for what Stripe joins
 * to something else. https://docs.stripe.com/get-started/account/statement-descriptors
 */
function descriptor(shortest: number): Field<string> {
  return {
    read(node, context) {
      const value = text(22).read(node, context);
      if (/[<>\\'"*]/.test(value) || !/[A-Za-z]/.test(value) || /[^ -~]/.test(value)) {
        throw invalidRequest(
          "Statement descriptors must contain at least one letter, Latin characters alone, and none of the characters < > \\ ' \" *.",
          context.path,
        );
      }
      if (value.length >= shortest) return value;
      throw invalidRequest(
        `The statement descriptor must be at least ${shortest} characters.`,
        context.path,
      );
    },
  };
}
export const statementDescriptor: Field<string> = descriptor(5);
export const statementDescriptorSuffix: Field<string> = descriptor(1);

/** What a product wants to be called on statements. Stripe strips what is not ASCII. */
export const productDescriptor: Field<string> = {
  read(node, context) {
    const value = text(22).read(node, context);
    if (!/[<>\\'"]/.test(value)) return value.replaceAll(/[^ -~]/g, "");
    throw invalidRequest(
      "Statement descriptors may not contain any of the characters < > \\ ' \".",
      context.path,
    );
  },
};

/** A percentage between 0 and 100. */
export const percentage: Field<number> = {
  read(node, context) {
    const given = textOf(node, context);
    const value = Number(given);
    if (!/^-?\d{1,15}(\.\d{1,15})?$/.test(given)) {
      throw invalidRequest(`Invalid decimal: ${given}`, context.path);
    }
    if (value > 0 && value <= 100) return value;
    throw invalidRequest(`Invalid ${context.path}: must be greater than 0 and at most 100`, context.path);
  },
};

/** A code of https://docs.stripe.com/tax/tax-codes; which of them there are is not known here. */
export const taxCode: Field<string> = {
  read(node, context) {
    const value = text(50).read(node, context);
    if (/^txcd_\d{8}$/.test(value)) return value;
    throw invalidRequest(`No such tax code: '${value}'`, context.path, "resource_missing");
  },
};

/** An id of the caller's choice. */
export const ownId: Field<string> = {
  read(node, context) {
    const value = text().read(node, context);
    if (/^[\w-]+$/.test(value)) return value;
    throw invalidRequest(
      `This value must match the regex pattern. (/\\A[a-zA-Z0-9_\\-]+\\z/ does not match for the value ${value}).`,
      context.path,
    );
  },
};

/** Where the shopper goes back to: a URL, or an address that opens an app. */
export const returnUrl: Field<string> = {
  read(node, context) {
    const value = textOf(node, context);
    const scheme = /^([a-z][a-z0-9+.-]*):\/\/\S+$/i.exec(value)?.[1]?.toLowerCase();
    if (value.length <= 5000 && scheme !== undefined && !["data", "javascript"].includes(scheme)) {
      return value;
    }
    throw invalidRequest("Not a valid URL", context.path, "url_invalid");
  },
};

/** Whether the shopper is away, or why; both mean that nobody can be asked. */
export const offSession: Field<boolean> = {
  read(node, context) {
    const value = textOf(node, context);
    if (value === "false") return false;
    if (["true", "one_off", "recurring"].includes(value)) return true;
    throw invalidRequest(`Invalid boolean: ${value}`, context.path);
  },
};
