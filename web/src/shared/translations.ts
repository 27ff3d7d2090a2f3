// All texts of the pages, by language and by part of a page (a namespace). No component holds a text.
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { readStored, writeStored } from "./browserStore";

const files = import.meta.glob<Record<string, unknown>>("../locales/*/*.json", { eager: true, import: "default" });

const resources: Record<string, Record<string, Record<string, unknown>>> = {};
for (const [path, texts] of Object.entries(files)) {
  const [language, namespace] = path.replace(".json", "").split("/").slice(-2) as [string, string];
  resources[language] = { ...resources[language], [namespace]: texts };
}

export const LANGUAGES = ["en", "zh"] as const;
const STORED = "voxfleet.language";

function initialLanguage(): string {
  const stored = readStored("localStorage", STORED);
  if (stored && LANGUAGES.includes(stored as (typeof LANGUAGES)[number])) return stored;
  return navigator.language.startsWith("zh") ? "zh" : "en";
}

export function setLanguage(language: string): void {
  writeStored("localStorage", STORED, language);
  void i18next.changeLanguage(language);
}

function markDocument(language: string): void {
  document.documentElement.lang = language;
}

i18next.on("languageChanged", markDocument);
void i18next.use(initReactI18next).init({
  resources: resources as never,
  lng: initialLanguage(),
  fallbackLng: "en",
  defaultNS: "common",
  interpolation: { escapeValue: false }, // React escapes
});
