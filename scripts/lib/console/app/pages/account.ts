/** Who is signed in, and their second factor. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { BackendError } from "../backend.ts";
import { useDesk, useLive } from "../live.ts";
import { Facts, Section } from "../parts.ts";
import { Enrolment } from "../sign_in.ts";

interface Account {
  email: string;
  hasFactor: boolean;
}

/** The account of whoever is signed in. */
export function AccountPage(): ComponentChildren {
  const { backend, refresh } = useDesk();
  const live = useLive("account", async (): Promise<Account> => {
    const { data: { user }, error } = await backend.client.auth.getUser();
    if (user === null) throw new BackendError(error?.message ?? "Nobody is signed in.");
    const hasFactor = user.factors?.some((factor) => factor.status === "verified") ?? false;
    return { email: user.email ?? "", hasFactor };
  });
  return h(Section<Account>, {
    title: "Who is signed in",
    live,
    children: ({ email, hasFactor }) =>
      h(
        "div",
        null,
        h(Facts, { facts: [["E-mail", email], ["Second factor", hasFactor ? "set up" : "none yet"]] }),
        !hasFactor && h(
          "section",
          null,
          h("h2", null, "Second factor"),
          h(
            "p",
            { class: "note" },
            "From then on the console asks for its code too. ADMIN_REQUIRE_MFA has the database ask for it.",
          ),
          h(Enrolment, {
            backend,
            changed: () => {
              refresh();
              return Promise.resolve();
            },
          }),
        ),
      ),
  });
}
