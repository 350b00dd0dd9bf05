/**
 * Upstash's REST protocol in front of a real Redis: `POST /` with one command, `POST /pipeline` with several;
 * strings in base64 when the client asks for it.
 */
import { LOCAL_HOST } from "../../../scripts/lib/ports.ts";
import { eventually } from "../../support/poll.ts";

type Reply = string | number | null | Reply[] | Error;

export interface UpstashStandIn extends AsyncDisposable {
  url: string;
  token: string;
  /** Commands seen so far. */
  commands: string[][];
  /** Requests seen so far, with those that got no answer. */
  requests: number;
  /** `hang`: requests get no answer; `serve`: they do. */
  mode: "serve" | "hang";
}

/** True when a Redis can be started here. */
export async function hasRedis(): Promise<boolean> {
  try {
    return (await new Deno.Command("redis-server", { args: ["--version"], stdout: "null" }).output()).success;
  } catch {
    return false;
  }
}

/** Starts a Redis without persistence on a socket of its own, which nobody else can take, and the protocol in front of it. */
export async function startUpstash(): Promise<UpstashStandIn> {
  const dir = await Deno.makeTempDir({ prefix: "kct-redis-" });
  const socket = `${dir}/redis.sock`;
  const redis = new Deno.Command("redis-server", {
    args: ["--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "", "--appendonly", "no"],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const connection = await eventually("Redis", () => Deno.connect({ transport: "unix", path: socket }));
  const client = createRedisClient(connection);
  const token = crypto.randomUUID();
  const hanging = new Set<(response: Response) => void>();
  const server = Deno.serve({ hostname: LOCAL_HOST, port: 0, onListen: () => {} }, async (request) => {
    standIn.requests += 1;
    if (standIn.mode === "hang") return await new Promise<Response>((resolve) => hanging.add(resolve));
    if (request.headers.get("authorization") !== `Bearer ${token}`) {
      return Response.json({ error: "WRONGPASS invalid or missing auth token" }, { status: 401 });
    }
    const encode = request.headers.get("upstash-encoding") === "base64" ? toBase64 : (reply: Reply) => reply;
    const answer = async (command: string[]) => {
      standIn.commands.push(command);
      const reply = await client(command.map(String).map(dropUpstashFlags));
      return reply instanceof Error ? { error: reply.message } : { result: encode(reply) };
    };
    const body = await request.json();
    if (!new URL(request.url).pathname.endsWith("/pipeline")) return Response.json(await answer(body));
    const answers = [];
    for (const command of body) answers.push(await answer(command));
    return Response.json(answers);
  });
  const standIn: UpstashStandIn = {
    url: `http://${LOCAL_HOST}:${server.addr.port}`,
    token,
    commands: [],
    requests: 0,
    mode: "serve",
    async [Symbol.asyncDispose]() {
      for (const resolve of hanging) resolve(new Response(null, { status: 503 }));
      await server.shutdown();
      connection.close();
      redis.kill();
      await redis.status;
      await Deno.remove(dir, { recursive: true });
    },
  };
  return standIn;
}

/** Upstash marks its scripts with flags that plain Redis does not know. */
function dropUpstashFlags(argument: string): string {
  return argument.replace(/^\s*#!lua flags=allow-key-locking[^\n]*\n/, "");
}

function toBase64(reply: Reply): Reply {
  if (Array.isArray(reply)) return reply.map(toBase64);
  return typeof reply === "string" && reply !== "OK" ? btoa(reply) : reply;
}

/** Sends one command at a time and reads its RESP2 reply. */
function createRedisClient(connection: Deno.UnixConn): (command: string[]) => Promise<Reply> {
  const reader = connection.readable.getReader();
  const encoder = new TextEncoder();
  const decoder = new TextDecoder("latin1");
  let buffered = "";
  let turn: Promise<unknown> = Promise.resolve();

  async function more(): Promise<void> {
    const { value, done } = await reader.read();
    if (done) throw new Error("Redis closed the connection");
    buffered += decoder.decode(value);
  }

  async function line(): Promise<string> {
    while (!buffered.includes("\r\n")) await more();
    const end = buffered.indexOf("\r\n");
    const text = buffered.slice(0, end);
    buffered = buffered.slice(end + 2);
    return text;
  }

  async function reply(): Promise<Reply> {
    const text = await line();
    const rest = text.slice(1);
    switch (text[0]) {
      case "+":
        return rest;
      case "-":
        return new Error(rest);
      case ":":
        return Number(rest);
      case "$":
        return rest === "-1" ? null : await bulk(Number(rest));
      default: {
        const items: Reply[] = [];
        for (let count = Number(rest); count > 0; count--) items.push(await reply());
        return items;
      }
    }
  }

  async function bulk(length: number): Promise<string> {
    while (buffered.length < length + 2) await more();
    const text = buffered.slice(0, length);
    buffered = buffered.slice(length + 2);
    return text;
  }

  async function run(command: string[]): Promise<Reply> {
    const parts = command.map((part) => `$${encoder.encode(part).length}\r\n${part}\r\n`);
    const writer = connection.writable.getWriter();
    await writer.write(encoder.encode(`*${command.length}\r\n${parts.join("")}`));
    writer.releaseLock();
    return await reply();
  }

  return (command) => {
    const result = turn.then(() => run(command));
    turn = result.catch(() => {});
    return result;
  };
}
