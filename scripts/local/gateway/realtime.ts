/**
 * Realtime, which the offline stack has not, says so in its own words: over HTTP, and on the socket, where a browser
 * could not read why an upgrade was refused. So the socket opens, and each channel is told when it joins.
 */

const refusal = {
  code: "realtime_not_supported",
  message: "The offline stack has no Realtime: ask again by polling, as where a channel cannot be joined",
};

/** A frame of the Phoenix protocol: version 1 sends objects, version 2 the same fields as a list. */
interface Frame {
  join_ref: string | null;
  ref: string | null;
  topic: string;
  event: string;
}

/** Answers HTTP calls of Realtime. */
export function refuseRealtime(): Response {
  return Response.json(refusal, { status: 501 });
}

/** Whether a request asks for a WebSocket. */
export function isUpgrade(request: Request): boolean {
  return request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

/** Opens the socket, keeps it, and refuses every channel by name. */
export function upgradeToRefusal(request: Request): Response {
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.onmessage = ({ data }) => {
    const frame = readFrame(data);
    if (frame === null) return socket.close(1003, refusal.code);
    const { join_ref, ref, topic, event } = frame;
    const isAlive = topic === "phoenix" && event === "heartbeat";
    const payload = isAlive
      ? { status: "ok", response: {} }
      : { status: "error", response: { reason: `${refusal.code}: ${refusal.message}` } };
    const reply = frame.isList
      ? [join_ref, ref, topic, "phx_reply", payload]
      : { join_ref, ref, topic, event: "phx_reply", payload };
    socket.send(JSON.stringify(reply));
  };
  return response;
}

/** Null for what is no frame. */
function readFrame(data: unknown): Frame & { isList: boolean } | null {
  if (typeof data !== "string") return null;
  try {
    const value: unknown = JSON.parse(data);
    const isList = Array.isArray(value);
    const [join_ref, ref, topic, event] = isList
      ? value
      : ["join_ref", "ref", "topic", "event"].map((name) => (value as Record<string, unknown>)[name]);
    if (typeof topic !== "string" || typeof event !== "string") return null;
    return { join_ref: join_ref ?? null, ref: ref ?? null, topic, event, isList };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return null;
    throw error;
  }
}
