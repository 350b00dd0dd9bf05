/** All mistakes that `deno task mutate` makes. */
import { alertRuleMutants } from "./alert_rules.ts";
import { checkoutMutants } from "./checkout.ts";
import { abuseFaults } from "./faults_abuse.ts";
import { moneyFaults } from "./faults_money.ts";
import { factMutants } from "./facts.ts";
import type { Mutant } from "./mutant.ts";
import { rescueMutants } from "./rescue.ts";
import { settlementMutants } from "./settlement.ts";
import { translatorMutants } from "./translators.ts";
import { velocityMutants } from "./velocity.ts";

export const MUTANTS: readonly Mutant[] = [
  ...factMutants,
  ...settlementMutants,
  ...checkoutMutants,
  ...velocityMutants,
  ...alertRuleMutants,
  ...translatorMutants,
  ...rescueMutants,
  ...moneyFaults,
  ...abuseFaults,
];
