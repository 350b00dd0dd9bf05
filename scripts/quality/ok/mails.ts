/** The compiled layout of mails is what its sources make. */
import { join } from "node:path";
import { compiledLayout, LAYOUT_PATH } from "../mails.ts";
import { judged, type Step } from "./step.ts";

export const mailLayout: Step = {
  name: "mail layout",
  async run({ root, write }) {
    const path = join(root, LAYOUT_PATH);
    const compiled = await compiledLayout();
    if (await Deno.readTextFile(path).catch(() => "") === compiled) return judged([]);
    if (!write) return judged([`${LAYOUT_PATH} is not what layout.mjml makes: run 'deno task mails'`]);
    await Deno.writeTextFile(path, compiled);
    return judged([], `wrote ${LAYOUT_PATH}`);
  },
};
