import { startStandIn } from "../../stand-in/main.ts";
import { exitWithParent } from "../child_side.ts";

/** The Stripe stand-in as a part of the stack: it ends with its parent. */
async function main(): Promise<void> {
  const stripe = await startStandIn({
    port: Deno.env.get("LOCAL_STRIPE_PORT") ?? "",
    dir: `${Deno.env.get("LOCAL_DIR") ?? ".local"}/stripe`,
  });
  exitWithParent(() => stripe.stop());
  console.log(`ready ${stripe.url}`);
}

if (import.meta.main) await main();
