/** How a checkout ended, in one word, for the metric `checkouts`. */
import { errorAnswer } from "../_shared/http/answers.ts";

/** `created`, `repeated` (an order that was there already), or the error code that was answered. */
export async function resultOf(answer: Response): Promise<string> {
  if (answer.ok) return answer.status === 201 ? "created" : "repeated";
  return errorAnswer.safeParse(await answer.clone().json()).data?.error.code ?? "other";
}
