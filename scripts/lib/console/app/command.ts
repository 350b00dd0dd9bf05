/** A staff command behind a button: what it will do is said and confirmed first, and what came of it afterwards. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useDesk } from "./live.ts";
import { Problem } from "./parts.ts";

/** What a button does. */
export interface Command {
  /** On the button, and the heading of the question: `Redrive`. */
  verb: string;
  /** What it is about, for whoever hears the button alone: `job 12`. */
  object: string;
  /** What will happen, in a sentence. */
  effect: string;
  /** The function, and its arguments but for the note. */
  name: string;
  args: Record<string, unknown>;
  /** Asks for a note and passes it as this argument. */
  note?: string;
  /** Said when it is done. */
  done: string;
}

/** The button of a {@linkcode Command}. */
export function CommandButton({ command }: { command: Command }): ComponentChildren {
  const [open, setOpen] = useState(false);
  return h(
    "span",
    null,
    h(
      "button",
      { type: "button", "aria-label": `${command.verb} ${command.object}`, onClick: () => setOpen(true) },
      command.verb,
    ),
    open && h(Question, { command, close: () => setOpen(false) }),
  );
}

function Question({ command, close }: { command: Command; close(): void }): ComponentChildren {
  const { backend, announce, refresh } = useDesk();
  const dialog = useRef<HTMLDialogElement>(null);
  // Sent again after a lost answer, it is the same command, and carried out once.
  const id = useRef(crypto.randomUUID());
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    const args = command.note === undefined
      ? command.args
      : { ...command.args, [command.note]: note || null };
    try {
      await backend.command(command.name, args, id.current);
      announce(command.done);
      refresh();
      dialog.current?.close();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
      setBusy(false);
    }
  };
  return h(
    "dialog",
    { ref: dialog, onClose: close, "aria-labelledby": "question" },
    h(
      "form",
      { onSubmit: send },
      h("h2", { id: "question" }, `${command.verb} ${command.object}?`),
      h("p", null, command.effect),
      command.note !== undefined && h(
        "label",
        { class: "field" },
        h("span", null, "Note (it stands in the log)"),
        h("input", {
          type: "text",
          value: note,
          maxLength: 500,
          onInput: (event: Event) => setNote((event.currentTarget as HTMLInputElement).value),
        }),
      ),
      problem !== null && h(Problem, { text: problem }),
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", onClick: () => dialog.current?.close() }, "Cancel"),
        h("button", { type: "submit", class: "primary", disabled: busy }, command.verb),
      ),
    ),
  );
}
