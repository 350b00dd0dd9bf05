/**
 * `deno task evidence`: what the bank would be told about a dispute, as a page with its files, before it is final. From a
 * running stack or a project; sends and changes nothing.
 */
import { join, resolve } from "node:path";
import { callStripe, stripeErrorOf } from "../../supabase/functions/_shared/stripe/client.ts";
import { TaskError } from "../lib/errors.ts";
import { runTask, UsageError } from "../lib/task.ts";
import { openBackend } from "./backend.ts";
import { findSource } from "./doctor/subject.ts";
import { previewPage } from "./dispute_preview/page.ts";
import { previewOf, type ReadFile } from "./dispute_preview/preview.ts";

const usage = `deno task evidence DISPUTE [--note TEXT] [--out FOLDER] [--env .env]

  DISPUTE  its id at Stripe: du_… or dp_…
  --note   your words, as submit_dispute_evidence() would put them first
  --out    where index.html and the files go; without it, a new folder for temporary files
  --env    the project of this file; else what deno task doctor would look at`;

const flags = { note: { type: "string" }, out: { type: "string" }, env: { type: "string" } } as const;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      positionals: true,
      run: ({ values, positionals }) => main(positionals, values),
    }, Deno.args),
  );
}

async function main(
  [id, ...surplus]: string[],
  { note, out, env }: { note?: string; out?: string; env?: string },
): Promise<number> {
  if (id === undefined || !/^d[up]_\w+$/.test(id)) throw new UsageError("Say which dispute: du_… or dp_…");
  if (surplus.length > 0) throw new UsageError(`One dispute at a time, not ${surplus.join(" ")} too`);
  const { name, values } = await findSource(env ?? null, Deno.env.toObject());
  const { rpc, stripe } = await openBackend((variable) => values[variable]);
  const known = await rpc.getDisputeEvidence(id);
  if (known === null) throw new TaskError(`${name} knows no dispute ${id}`);
  if (known.order === null) {
    throw new TaskError(`${id} is not about an order of this shop: see Stripe's dashboard`);
  }
  const dispute = await callStripe(() => stripe.disputes.retrieve(id)).catch((error) => {
    throw new TaskError(`Stripe did not tell of ${id}: ${stripeErrorOf(error)?.message ?? "no answer"}`);
  });
  const readFile: ReadFile = async (file) => {
    const { url, filename, type } = await callStripe(() => stripe.files.retrieve(file));
    const response = await fetch(url ?? "", {
      headers: { authorization: `Bearer ${values["STRIPE_SECRET_KEY"]}` },
    });
    if (!response.ok) throw new TaskError(`Stripe does not show the file ${file} (${response.status})`);
    const bytes = await response.bytes();
    return { name: `${file}.${type ?? filename?.split(".").at(-1) ?? "bin"}`, bytes };
  };
  const preview = await previewOf(dispute, known.order, note ?? null, readFile);
  const folder = out === undefined ? await Deno.makeTempDir({ prefix: "evidence-" }) : resolve(out);
  await Deno.mkdir(folder, { recursive: true });
  for (const { name, bytes } of preview.files) await Deno.writeFile(join(folder, name), bytes);
  const page = join(folder, "index.html");
  await Deno.writeTextFile(page, previewPage(preview));
  console.log(page);
  return 0;
}
