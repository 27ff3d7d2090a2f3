// Two pages from one source: index.html (speech) and fleet.html. A server replaces the nonce's placeholder in each
// response, so that the policy needs no 'unsafe-inline'.
import { resolve } from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Where the development server sends API requests: a speech server or a gateway.
const server = process.env.VOXFLEET_SERVER ?? "http://127.0.0.1:6006";

export default defineConfig({
  plugins: [react()],
  html: { cspNonce: "__CSP_NONCE__" },
  build: {
    target: "es2023",
    // Browsers with light-dark(): its replacement by variables knows no color scheme that a script sets.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    assetsInlineLimit: 0, // data: URLs are not in the policy
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: resolve(import.meta.dirname, "index.html"), fleet: resolve(import.meta.dirname, "fleet.html") },
    },
  },
  server: { proxy: { "/v1": { target: server, ws: true }, "/health": server, "/fleet/": server } },
});
