import { TextLineStream } from "../../scripts/lib/lines.ts";

/** Stripe's own OpenAPI mock, at the version whose specification is nearest to the API version spoken here. */
const MODULE = "github.com/stripe/stripe-mock";
const VERSION = "v0.203.0";

export interface Specification {
  paths: Record<string, unknown>;
  components: { schemas: Record<string, Schema> };
}

export interface Schema {
  $ref?: string;
  type?: string;
  nullable?: boolean;
  enum?: (string | number | boolean)[];
  anyOf?: Schema[];
  allOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  required?: string[];
  format?: string;
  maxLength?: number;
  pattern?: string;
}

async function go(args: string[], env: Record<string, string> = {}): Promise<string | null> {
  try {
    const { success, stdout } = await new Deno.Command("go", { args, stdout: "piped", stderr: "null", env })
      .output();
    return success ? new TextDecoder().decode(stdout) : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Why the tests that need Stripe's mock are skipped; in CI the mock must be there, so they fail instead. */
function missing(what: string): null {
  const reason = `${what} is not available: install Go, or run where the Go module proxy answers`;
  if (Deno.env.get("CI") === "true") throw new Error(reason);
  console.log(`skipped: ${reason}`);
  return null;
}

/** The OpenAPI specification that the mock carries, or null with a printed reason. */
export async function specification(): Promise<Specification | null> {
  const info = await go(["mod", "download", "-json", `${MODULE}@${VERSION}`]);
  if (info === null) return missing("Stripe's OpenAPI specification");
  const { Dir } = JSON.parse(info) as { Dir: string };
  return JSON.parse(await Deno.readTextFile(`${Dir}/embedded/openapi/spec3.json`)) as Specification;
}

export interface RunningMock extends AsyncDisposable {
  url: string;
}

/** Starts stripe-mock on a free port, or null with a printed reason. */
export async function startMock(): Promise<RunningMock | null> {
  const path = (await go(["env", "GOPATH"]))?.trim();
  if (path === undefined) return missing("stripe-mock");
  const bin = `${path}/bin`;
  if (await go(["install", `${MODULE}@${VERSION}`], { GOBIN: bin }) === null) return missing("stripe-mock");
  const child = new Deno.Command(`${bin}/stripe-mock`, {
    // Left alone, it takes a fixed port for HTTPS as well, and a second mock beside it dies.
    args: ["-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0", "-strict-version-check=false"],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
    .getReader();
  const said: string[] = [];
  let url: string | undefined;
  while (url === undefined) {
    const { value, done } = await output.read();
    if (done) throw new Error(`stripe-mock ended: ${said.join("\n")}`);
    said.push(value);
    const address = /^Listening for HTTP at address: (\S+)$/.exec(value)?.[1];
    if (address !== undefined) url = `http://${address}`;
  }
  const drained = (async () => {
    while (!(await output.read()).done);
  })();
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await child.status;
      await drained;
    },
  };
}
