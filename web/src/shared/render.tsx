// Mounts a page: theme, translations, server state.
import "@mantine/core/styles.css";
import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ReactNode, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "./page.css";
import "./translations";
import { Attributions } from "./Attributions";
import { served } from "./served";
import { theme } from "./theme";

/** The nonce that the server put into this response; styles that scripts add carry it. */
function styleNonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? "";
}

/** Dialogs lock the page's scrolling by a style of their own (get-nonce), which reads its nonce here. */
function giveNonceToDialogs(): void {
  Object.assign(globalThis, { __webpack_nonce__: styleNonce() });
}

export function renderPage(page: ReactNode): void {
  const root = document.getElementById("root");
  if (!root) throw new Error("the document has no element with the id root");
  giveNonceToDialogs();
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={styleNonce}>
        <QueryClientProvider client={new QueryClient()}>{page}</QueryClientProvider>
        <Attributions of={served().attributions ?? []} />
      </MantineProvider>
    </StrictMode>,
  );
}
