/** What the runbook says of an alert. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { BackendError } from "../backend.ts";
import { useLive } from "../live.ts";
import { Section } from "../parts.ts";
import { type Block, entryOf, type Span } from "../runbook.ts";
import { linkTo, type Route } from "../route.ts";

function spans(all: readonly Span[]): ComponentChildren {
  return all.map(({ kind, text }, at) => h(kind === "text" ? "span" : kind, { key: at }, text));
}

/** The entry of one kind of alert. */
export function RunbookPage({ route: { id } }: { route: Route }): ComponentChildren {
  const live = useLive(id, async () => {
    const response = await fetch("/console/runbook.md");
    if (!response.ok) throw new BackendError("The console's own server does not answer.");
    return [entryOf(await response.text(), id)];
  });
  return h(
    "div",
    null,
    h(Section<(Block[] | null)[]>, {
      title: "What it means, and what helps",
      live,
      children: ([blocks]) =>
        blocks === null || blocks === undefined
          ? h("p", { class: "empty" }, "The runbook does not know this kind of alert.")
          : h("div", { class: "entry" }, [
            ...blocks.filter(({ kind }) => kind === "paragraph").map((block, at) =>
              h("p", { key: at }, spans(block.spans))
            ),
            h(
              "ul",
              null,
              blocks.filter(({ kind }) => kind === "point").map((block, at) =>
                h("li", { key: at }, spans(block.spans))
              ),
            ),
          ]),
    }),
    h("p", null, h("a", { href: linkTo("alerts") }, "All alerts")),
  );
}
