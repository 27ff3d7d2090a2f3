// The API key that the user typed. It lives in this tab's session storage and leaves it only in Authorization.
import { readStored, writeStored } from "./browserStore";

const STORED = "voxfleet.apiKey";
const unauthorized = new EventTarget();
const REFUSED = "refused";

export function apiKey(): string {
  return readStored("sessionStorage", STORED) ?? "";
}

export function setApiKey(key: string): void {
  writeStored("sessionStorage", STORED, key.trim() || null);
}

export function bearer(): Record<string, string> {
  const key = apiKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Report a response of 401: the page leads to the field of the key. */
export function reportUnauthorized(): void {
  unauthorized.dispatchEvent(new Event(REFUSED));
}

/** Call `callback` after each 401; returns what ends that. */
export function onUnauthorized(callback: () => void): () => void {
  unauthorized.addEventListener(REFUSED, callback);
  return () => unauthorized.removeEventListener(REFUSED, callback);
}
