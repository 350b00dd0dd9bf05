/** A failure whose message tells the person what to do; tasks print it without a stack trace. */
export class TaskError extends Error {
  override name = "TaskError";
}

/** A failure of the offline stack. */
export class StackError extends TaskError {
  override name = "StackError";
}
