import { expect, test } from "vitest";

const files = import.meta.glob<object>("../src/locales/*/*.json", { eager: true, import: "default" });

function texts(of: string): Map<string, string> {
  const found = new Map<string, string>();
  const collect = (value: unknown, key: string) => {
    if (typeof value === "string") found.set(key, value);
    else for (const [name, inner] of Object.entries(value as object)) collect(inner, `${key}.${name}`);
  };
  for (const [path, content] of Object.entries(files)) {
    const [language, file] = path.split("/").slice(-2) as [string, string];
    if (language === of) collect(content, file);
  }
  return found;
}

const english = texts("en");
const chinese = texts("zh");
/** Chinese has one plural form. */
const singular = (key: string) => key.endsWith("_one");

test("every text is there in both languages", () => {
  expect(english.size).toBeGreaterThan(100);
  const keys = (of: Map<string, string>) => [...of.keys()].filter((key) => !singular(key)).sort();
  expect(keys(chinese)).toEqual(keys(english));
});

test("translations have the same placeholders, and none is empty", () => {
  const placeholders = (text: string) => [...new Set(text.match(/\{\{\w+\}\}/g))].sort();
  for (const [key, text] of chinese) {
    expect(text.trim(), key).not.toBe("");
    expect(placeholders(text), key).toEqual(placeholders(english.get(key) ?? ""));
  }
});
