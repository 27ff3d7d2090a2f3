// @vitest-environment happy-dom
// What a key costs that is typed into a long text: nothing that takes the longer the longer the text is.
import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act } from "react";
import { createRoot } from "react-dom/client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import "../../src/shared/translations";
import * as parts from "../../src/speak/playback/engine/long/textParts";
import { SpeechEventsProvider } from "../../src/speak/playback/SpeechEventsContext";
import { SpeechText } from "../../src/speak/playback/text/SpeechText";
import { SpeakProvider } from "../../src/speak/playback/useSpeak";
import { SettingsProvider, useSettings } from "../../src/speak/settings/SettingsContext";
import { writeFragment } from "../../src/speak/settings/shareLink";

vi.mock("../../src/speak/playback/engine/long/textParts", { spy: true });
vi.mock("../../src/speak/settings/shareLink", { spy: true });

const LONG = "A sentence of some words, and then a little more. ".repeat(1999);
const KEYS = 10;
let renders = 0; // of what shows other settings than the text

function OtherPanel() {
  useSettings();
  renders++;
  return null;
}

function page(text: string) {
  return (
    <MantineProvider>
      <QueryClientProvider client={new QueryClient()}>
        <SettingsProvider initial={{ text }}>
          <SpeechEventsProvider>
            <SpeakProvider>
              <SpeechText />
              <OtherPanel />
            </SpeakProvider>
          </SpeechEventsProvider>
        </SettingsProvider>
      </QueryClientProvider>
    </MantineProvider>
  );
}

beforeEach(() => {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  vi.useFakeTimers();
  localStorage.clear();
  document.body.innerHTML = "<div></div>";
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function opened(text: string): Promise<HTMLTextAreaElement> {
  await act(async () => createRoot(document.querySelector("div") as HTMLDivElement).render(page(text)));
  await act(async () => vi.advanceTimersByTime(1000));
  return document.querySelector("textarea") as HTMLTextAreaElement;
}

/** As a key changes the field: React takes a value that it has not set for one of the user. */
async function type(field: HTMLTextAreaElement): Promise<void> {
  const value = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value");
  await act(async () => {
    value?.set?.call(field, `${field.value}x`);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

test("a key in a long text renders its field alone; it is counted, cut and kept once typing pauses", async () => {
  const field = await opened(LONG);
  const spies = [vi.mocked(writeFragment), vi.mocked(parts.characterCount), vi.mocked(parts.textParts)];
  for (const spy of spies) spy.mockClear();
  renders = 0;
  for (let key = 0; key < KEYS; key++) await type(field);
  expect(field.value).toHaveLength(LONG.length + KEYS);
  expect(renders).toBe(0);
  for (const spy of spies) expect(spy).not.toHaveBeenCalled();
  expect(document.querySelectorAll("[aria-hidden=true] *"), "the layer behind the field").toHaveLength(0);
  await act(async () => vi.advanceTimersByTime(1000));
  for (const spy of spies) expect(spy).toHaveBeenCalled();
  expect(document.body.textContent).toContain(`${(LONG.length + KEYS).toLocaleString("en")} of 100,000`);
  expect(localStorage.getItem("voxfleet.settings")).toContain("xxxxxxxxxx");
});

test("a page that is left before typing pauses keeps the text", async () => {
  const field = await opened(LONG);
  await type(field);
  window.dispatchEvent(new Event("pagehide"));
  expect(new URLSearchParams(localStorage.getItem("voxfleet.settings") ?? "").get("text")).toBe(`${LONG}x`);
});

test("a short text is counted and kept with each key", async () => {
  const field = await opened("One");
  await type(field);
  expect(document.body.textContent).toContain("4 of 100,000");
  expect(localStorage.getItem("voxfleet.settings")).toContain("Onex");
});
