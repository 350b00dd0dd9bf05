/** Bytes over a socket, for requests that `fetch` would refuse to send. */

/**
 * Sends the text as it is and reads the status line.
 * @returns the status, or null when the server closed without one or said nothing within the time.
 */
export async function talk(url: string, text: string, waitMs: number): Promise<number | null> {
  const { hostname, port } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const timer = setTimeout(() => connection.close(), waitMs);
  let answer = "";
  try {
    await connection.write(new TextEncoder().encode(text));
    const buffer = new Uint8Array(4_096);
    while (!answer.includes("\r\n")) {
      const read = await connection.read(buffer);
      if (read === null) break;
      answer += new TextDecoder().decode(buffer.subarray(0, read));
    }
  } catch {
    // Closed by the server, or by the timer.
  } finally {
    clearTimeout(timer);
    try {
      connection.close();
    } catch {
      // Closed already.
    }
  }
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1];
  return status === undefined ? null : Number(status);
}
