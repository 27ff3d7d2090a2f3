import { afterEach, expect, test, vi } from "vitest";
import { readStored, writeStored } from "../src/shared/browserStore";

afterEach(() => vi.unstubAllGlobals());

test("a text is kept by the browser, and removed", () => {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  };
  vi.stubGlobal("localStorage", storage);
  writeStored("localStorage", "a", "1");
  expect([kept.get("a"), readStored("localStorage", "a")]).toEqual(["1", "1"]);
  kept.set("a", "2"); // another tab
  expect(readStored("localStorage", "a")).toBe("2");
  writeStored("localStorage", "a", null);
  expect([kept.size, readStored("localStorage", "a")]).toEqual([0, null]);
});

test("where storage is full, the newest text lasts as long as the page, also one that was removed", () => {
  const raise = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
  vi.stubGlobal("sessionStorage", { getItem: () => "old", setItem: raise, removeItem: raise });
  expect(readStored("sessionStorage", "b")).toBe("old");
  writeStored("sessionStorage", "b", "new");
  expect(readStored("sessionStorage", "b")).toBe("new");
  writeStored("sessionStorage", "b", null);
  expect(readStored("sessionStorage", "b")).toBeNull();
});

test("where storage is blocked, nothing fails", () => {
  Object.defineProperty(globalThis, "localStorage", {
    configurable: true,
    get: () => {
      throw new DOMException("denied", "SecurityError");
    },
  });
  try {
    expect(readStored("localStorage", "c")).toBeNull();
    writeStored("localStorage", "c", "1");
    expect(readStored("localStorage", "c")).toBe("1");
  } finally {
    Reflect.deleteProperty(globalThis, "localStorage");
  }
});
