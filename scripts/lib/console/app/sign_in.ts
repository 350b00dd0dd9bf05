/** The way in: e-mail and password, the code of the second factor, and what stands in somebody's way. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { useState } from "preact/hooks";
import type { Admission } from "./admission.ts";
import type { Backend } from "./backend.ts";
import { Problem } from "./parts.ts";
import { linkTo } from "./route.ts";

interface Door {
  backend: Backend;
  /** Called when the session has changed. */
  changed(): Promise<void>;
}

interface AuthAnswer {
  error: { message: string } | null;
}

/** Runs one step of signing in at a time, and keeps what went wrong. */
function useStep(changed: () => Promise<void>) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const run = async (step: () => Promise<AuthAnswer>) => {
    setBusy(true);
    setProblem(null);
    try {
      const { error } = await step();
      if (error !== null) setProblem(error.message);
      else await changed();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, run };
}

/** What somebody sees who is not in yet. */
export function SignIn(
  { admission, ...door }: Door & { admission: Exclude<Admission, { state: "in" }> },
): ComponentChildren {
  switch (admission.state) {
    case "out":
      return h(Password, door);
    case "code":
      return h(SecondFactor, { ...door, factorId: admission.factorId });
    case "no_factor":
      return h(NoFactor, { ...door, email: admission.email });
    case "not_staff":
      return h(
        Frame,
        { title: "Not for this account" },
        h(
          "p",
          null,
          `${admission.email} is signed in, and is not staff of this shop. Staff have the role admin in their `,
          "account (docs/staff.md says who gives it).",
        ),
        h(SignOut, door),
      );
  }
}

function Frame({ title, children }: { title: string; children?: ComponentChildren }): ComponentChildren {
  return h("main", { id: "main", class: "door", tabIndex: -1 }, h("h1", null, title), children);
}

/** Ends the session of this tab. */
export function SignOut({ backend, changed }: Door): ComponentChildren {
  const { busy, problem, run } = useStep(changed);
  const leave = () =>
    run(() => {
      // Whoever comes next begins at the beginning.
      location.hash = linkTo("now");
      return backend.client.auth.signOut({ scope: "local" });
    });
  return h(
    "span",
    null,
    problem !== null && h(Problem, { text: problem }),
    h("button", { type: "button", disabled: busy, onClick: leave }, "Sign out"),
  );
}

function Field({ label, value, onValue, ...rest }: {
  label: string;
  value: string;
  onValue(value: string): void;
  type: "email" | "password" | "text";
  autoComplete: string;
  inputMode?: "numeric";
}): ComponentChildren {
  return h(
    "label",
    { class: "field" },
    h("span", null, label),
    h("input", {
      ...rest,
      required: true,
      value,
      onInput: (event: Event) => onValue((event.currentTarget as HTMLInputElement).value),
    }),
  );
}

function Password({ backend, changed }: Door): ComponentChildren {
  const { busy, problem, run } = useStep(changed);
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const { demo } = backend;
  const send = (event: Event) => {
    event.preventDefault();
    return run(() => backend.client.auth.signInWithPassword({ email: email.trim(), password }));
  };
  return h(
    Frame,
    { title: "Sign in to the console" },
    h(
      "form",
      { onSubmit: send },
      h(Field, { label: "E-mail", type: "email", autoComplete: "username", value: email, onValue: setEmail }),
      h(Field, {
        label: "Password",
        type: "password",
        autoComplete: "current-password",
        value: password,
        onValue: setPassword,
      }),
      problem !== null && h(Problem, { text: problem }),
      h("button", { type: "submit", class: "primary", disabled: busy }, "Sign in"),
    ),
    demo !== null && h(
      "div",
      { class: "demo" },
      h(
        "p",
        null,
        "This is the offline stack. ",
        h("code", null, demo.email),
        " / ",
        h("code", null, demo.password),
      ),
      h(
        "button",
        {
          type: "button",
          disabled: busy,
          onClick: () => run(() => backend.client.auth.signInWithPassword(demo)),
        },
        "Sign in as demo staff",
      ),
    ),
  );
}

/** Asks for the six digits of an authenticator. */
function CodeForm({ backend, changed, factorId }: Door & { factorId: string }): ComponentChildren {
  const { busy, problem, run } = useStep(changed);
  const [code, setCode] = useState("");
  const send = (event: Event) => {
    event.preventDefault();
    return run(() =>
      backend.client.auth.mfa.challengeAndVerify({ factorId, code: code.replaceAll(/\s/g, "") })
    );
  };
  return h(
    "form",
    { onSubmit: send },
    h(Field, {
      label: "Code of your authenticator",
      type: "text",
      autoComplete: "one-time-code",
      inputMode: "numeric",
      value: code,
      onValue: setCode,
    }),
    problem !== null && h(Problem, { text: problem }),
    h("button", { type: "submit", class: "primary", disabled: busy }, "Confirm"),
  );
}

function SecondFactor({ factorId, ...door }: Door & { factorId: string }): ComponentChildren {
  return h(Frame, { title: "Second factor" }, h(CodeForm, { ...door, factorId }), h(SignOut, door));
}

function NoFactor({ email, ...door }: Door & { email: string }): ComponentChildren {
  return h(
    Frame,
    { title: "A second factor is required" },
    h(
      "p",
      null,
      `This shop shows nothing to staff who have signed in with a password alone (ADMIN_REQUIRE_MFA), and ${email} has `,
      "no second factor yet.",
    ),
    h(Enrolment, door),
    h(SignOut, door),
  );
}

/** Sets an authenticator up, and makes the session one of two factors with its first code. */
export function Enrolment(door: Door): ComponentChildren {
  const [factor, setFactor] = useState<{ id: string; picture: string; secret: string } | null>(null);
  const { busy, problem, run } = useStep(() => Promise.resolve());
  const enrol = () =>
    run(async () => {
      const { mfa } = door.backend.client.auth;
      // One that was begun and never proven is in the way: Auth takes a second one of the same name for a mistake.
      const listed = await mfa.listFactors();
      if (listed.error !== null) return listed;
      for (const { id, status } of listed.data.all) {
        const { error } = status === "verified" ? { error: null } : await mfa.unenroll({ factorId: id });
        if (error !== null) return { error };
      }
      const { data, error } = await mfa.enroll({ factorType: "totp" });
      if (data !== null) setFactor({ id: data.id, picture: data.totp.qr_code, secret: data.totp.secret });
      return { error };
    });
  return h(
    "div",
    null,
    problem !== null && h(Problem, { text: problem }),
    factor === null
      ? h(
        "button",
        { type: "button", class: "primary", disabled: busy, onClick: enrol },
        "Set up an authenticator",
      )
      : h(
        "div",
        null,
        h("p", null, "Scan this with your authenticator, or type the key in:"),
        h("img", {
          class: "qr",
          src: factor.picture,
          alt: "QR code of the key below",
          width: 180,
          height: 180,
        }),
        h("p", null, h("code", null, factor.secret)),
        h(CodeForm, { ...door, factorId: factor.id }),
      ),
  );
}
