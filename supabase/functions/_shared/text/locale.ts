/** Language tags as browsers and storefronts send them (BCP 47), read in one place. */

/** A tag as a locale; null for `auto`, none, and what is no tag. Underscores are taken for hyphens. */
export function readLocale(tag: string | null): Intl.Locale | null {
  if (tag === null || tag === "auto") return null;
  try {
    return new Intl.Locale(tag.replaceAll("_", "-"));
  } catch {
    return null;
  }
}

/** Two written forms of Norwegian are read by everybody who reads one of them. */
const sameLanguage: Record<string, string> = { no: "nb", nn: "nb" };

/** Regions that CLDR lets inherit from another locale than that of their language alone. */
const parents: Record<string, ReadonlySet<string>> = {
  "es-419": new Set("AR BO BR BZ CL CO CR CU DO EC GT HN MX NI PA PE PR PY SV US UY VE".split(" ")),
  "zh-HK": new Set(["MO"]),
};

/**
 * The one of `offered` that somebody who asked for `tag` reads best, or null when they offer nothing in that language
 * and script: Traditional Chinese is not read by who reads Simplified.
 */
export function bestLocale(tag: string | null, offered: readonly string[]): string | null {
  const asked = readLocale(tag);
  if (asked === null) return null;
  const { language, script } = written(asked);
  const fit = offered.filter((other) => {
    const { language: theirs, script: form } = written(new Intl.Locale(other));
    return theirs === language && form === script;
  });
  // A language that nobody knows has no script.
  if (script === undefined) return null;
  const likely = new Intl.Locale(`${language}-${script}`).maximize().region;
  const parent = Object.keys(parents).find((name) =>
    name.startsWith(`${language}-`) && parents[name]?.has(asked.region ?? "")
  );
  const wanted = [`${language}-${asked.region}`, parent, language, `${language}-${likely}`];
  return wanted.find((name) => name !== undefined && fit.includes(name)) ?? null;
}

function written(locale: Intl.Locale): { language: string; script: string | undefined } {
  const { language, script } = locale.maximize();
  return { language: sameLanguage[language] ?? language, script };
}
