import assert from "node:assert/strict";
import { locales, stripeLocale } from "../../supabase/functions/_shared/checkout/session_params.ts";

const nearest: Record<string, string> = {
  auto: "auto",
  en: "en",
  "en-US": "en",
  "en-AU": "en-GB",
  "en-gb": "en-GB",
  es: "es",
  "es-ES": "es",
  "es-MX": "es-419",
  "es-AR": "es-419",
  fr: "fr",
  "fr-CA": "fr-CA",
  "fr-CH": "fr",
  de: "de",
  "de-AT": "de",
  pt: "pt",
  "pt-BR": "pt-BR",
  "pt-AO": "pt",
  no: "nb",
  "nn-NO": "nb",
  nb: "nb",
  zh: "zh",
  "zh-CN": "zh",
  "zh-Hans-HK": "zh",
  "zh-Hant": "zh-TW",
  "zh-Hant-HK": "zh-HK",
  "zh-MO": "zh-HK",
  "zh-TW": "zh-TW",
  tl: "fil",
  in: "id",
  ar: "auto",
  "x-klingon": "auto",
  "a": "auto",
};

for (const [tag, locale] of Object.entries(nearest)) {
  Deno.test(`stripeLocale() answers ${locale} for ${tag}`, () => {
    assert.equal(stripeLocale(tag), locale);
  });
}

Deno.test("stripeLocale() answers nothing that Stripe does not know", () => {
  for (const language of Intl.getCanonicalLocales(["en", "ar", "he", "hi", "sr-Latn", "uk", "ca", "eu"])) {
    assert([...locales, "auto"].includes(stripeLocale(language)), language);
  }
  assert.equal(stripeLocale(null), "auto");
});
