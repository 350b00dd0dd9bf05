/** JSON in, JSON out, as the benches ask functions and the stand-in. */

/** Posts `body`; an empty answer is an empty object. Throws what is answered when it is refused. */
export async function post(
  url: string,
  body: object,
  headers: Record<string, string> = {},
): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`);
  return text === "" ? {} : JSON.parse(text);
}
