import { exitWithParent } from "../child_side.ts";
import { StateVersionError } from "./core/store.ts";
import { startStripe } from "./server.ts";

/** Runs the stand-in until its parent dies (stdin closes) or it is told to stop. */
async function main(): Promise<void> {
  const port = Number(Deno.env.get("LOCAL_STRIPE_PORT") ?? "12111");
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    console.error("LOCAL_STRIPE_PORT must be a port number");
    Deno.exit(1);
  }
  const dir = `${Deno.env.get("LOCAL_DIR") ?? ".local"}/stripe`;
  const secretKey = Deno.env.get("STRIPE_STANDIN_SECRET_KEY");
  const webhookSecret = Deno.env.get("STRIPE_STANDIN_WEBHOOK_SECRET");
  const stripe = await startStripe({
    port,
    dir,
    ...(secretKey === undefined ? {} : { secretKey }),
    ...(webhookSecret === undefined ? {} : { webhookSecret }),
  }).catch((error: unknown) => {
    if (error instanceof Deno.errors.AddrInUse) {
      console.error(
        `Port ${port} is in use: stop what listens there, or set LOCAL_STRIPE_PORT to another port.`,
      );
      Deno.exit(1);
    }
    if (error instanceof StateVersionError) {
      console.error(error.message);
      Deno.exit(1);
    }
    throw error;
  });

  exitWithParent(() => stripe.stop());
  console.log(`ready ${stripe.url}`);
}

if (import.meta.main) await main();
