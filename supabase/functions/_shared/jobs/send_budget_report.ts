/** Tells staff how the service level objectives of the week before were met. */
import { budgetReport } from "../mails/budget_report.ts";
import { done, type JobHandler, textField } from "./outcome.ts";
import { tellStaff } from "./tell_staff.ts";

/** Payload: { week }, the first day of the week as `YYYY-MM-DD`. */
export const sendBudgetReport: JobHandler = async (job, context) => {
  const budgets = await context.rpc.getErrorBudgets(textField(job, "week"));
  const message = budgetReport(budgets);
  if (message === null) return { kind: "discard", reason: "there is nothing to tell" };
  const key = `budget_report_${budgets.week}`;
  return await tellStaff(message, budgets.shop, key, { kind: "budget_report" }, context) ?? done;
};
