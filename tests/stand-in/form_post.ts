/** Sends a form as it is, as no library would. */
import { TEST_KEY } from "./stand_in.ts";

export function post(
  url: string,
  path: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(url + path, {
    method: "POST",
    headers: {
      authorization: `Bearer ${TEST_KEY}`,
      "content-type": "application/x-www-form-urlencoded",
      ...headers,
    },
    body,
  });
}
