import { type Html, html } from "../http/html.ts";

const countryNames = new Intl.DisplayNames("en", { type: "region" });

interface FieldOptions {
  name: string;
  label: string;
  autocomplete: string;
  type?: string;
  inputmode?: string;
  placeholder?: string;
  value?: string;
  required?: boolean;
  maxlength?: number;
  className?: string;
  readonly?: boolean;
}

/** A labelled text input with a place for its error. */
export function field(options: FieldOptions): Html {
  const required = options.required !== false;
  return html`
    <div class="field ${options.className ?? ""}">
      <label for="${options.name}">${options.label}${required ? null : html`
        <span class="optional">optional</span>
      `}</label>
      <input id="${options.name}" name="${options.name}" type="${options.type ??
        "text"}" value="${options.value ?? ""}"
        autocomplete="${options.autocomplete}" inputmode="${options.inputmode ??
          "text"}" placeholder="${options.placeholder ?? ""}"
        maxlength="${options.maxlength ?? 200}" ${required
          ? html`required`
          : null} ${options.readonly === true ? html`readonly` : null}
        aria-describedby="${options.name}-error">
      <p class="field-error" id="${options.name}-error" aria-live="polite"></p>
    </div>
  `;
}

export function countrySelect(name: string, countries: readonly string[], autocomplete: string): Html {
  const sorted = countries.map((code) => ({ code, label: countryNames.of(code) ?? code }))
    .sort((a, b) => a.label.localeCompare(b.label));
  const chosen = countries.includes("US") ? "US" : countries[0] ?? "US";
  return html`
    <div class="field">
      <label for="${name}">Country or region</label>
      <select id="${name}" name="${name}" autocomplete="${autocomplete}">
    ${sorted.map(({ code, label }) =>
      html`<option value="${code}" ${code === chosen ? html`selected` : null}>${label}</option>`
    )}
      </select>
    </div>
  `;
}

/** Country, street, city, state and postal code. */
export function addressFields(prefix: "billing" | "shipping", countries: readonly string[]): Html {
  return html`${countrySelect(`${prefix}_country`, countries, `${prefix} country`)}
${
    field({
      name: `${prefix}_line1`,
      label: "Address line 1",
      autocomplete: `${prefix} address-line1`,
      placeholder: "Street and number",
    })
  }
${
    field({
      name: `${prefix}_line2`,
      label: "Apartment, suite",
      autocomplete: `${prefix} address-line2`,
      required: false,
    })
  }
<div class="pair">
${field({ name: `${prefix}_city`, label: "City", autocomplete: `${prefix} address-level2` })}
${
    field({
      name: `${prefix}_state`,
      label: "State",
      autocomplete: `${prefix} address-level1`,
      required: false,
    })
  }
</div>
${
    field({
      name: `${prefix}_postal_code`,
      label: "ZIP code",
      autocomplete: `${prefix} postal-code`,
      maxlength: 12,
    })
  }`;
}
