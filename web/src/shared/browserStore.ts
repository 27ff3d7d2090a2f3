// Short texts that the browser keeps for this page. Where it keeps none, since storage is blocked or full, they last as
// long as the page, and nothing fails. Knows the browser's storage; does not know what the texts mean.
export type StoreArea = "localStorage" | "sessionStorage";

const unkept: Record<StoreArea, Map<string, string | null>> = { localStorage: new Map(), sessionStorage: new Map() };

export function readStored(area: StoreArea, key: string): string | null {
  const value = unkept[area].get(key);
  if (value !== undefined) return value;
  try {
    return globalThis[area].getItem(key);
  } catch {
    return null; // blocked: even the property raises then
  }
}

/** Keep a text; null removes it. */
export function writeStored(area: StoreArea, key: string, value: string | null): void {
  unkept[area].delete(key);
  try {
    if (value === null) globalThis[area].removeItem(key);
    else globalThis[area].setItem(key, value);
  } catch {
    unkept[area].set(key, value);
  }
}
