// Times a request to each region's gateway and reports the round trips, from which the gateway learns where to send the
// next clients of this network. Sends nothing else, and only after the page has loaded.
import { apiKey } from "../shared/apiKey";
import { request } from "../shared/http";
import { type Served, served } from "../shared/served";

const AFTER_LOAD_MS = 2000; // the page's own requests come first
const MAX_REGIONS = 8;

/** Start it in the page of a gateway, once the page has loaded. */
export function reportRoundTripsAfterLoad(): void {
  const server = served();
  const start = () => setTimeout(() => void reportRoundTrips(server).catch(() => {}), AFTER_LOAD_MS);
  if (document.readyState === "complete") start();
  else addEventListener("load", start, { once: true });
}

export async function reportRoundTrips(server: Served, probe = roundTripSeconds): Promise<void> {
  if (server.needsKey && !apiKey()) return;
  const rttSeconds: Record<string, number> = {};
  for (const [region, url] of Object.entries(server.gatewayUrls ?? {}).slice(0, MAX_REGIONS)) {
    const seconds = await probe(new URL("/health/live", url)).catch(() => null); // one that is away has none
    if (seconds !== null) rttSeconds[region] = seconds;
  }
  if (!Object.keys(rttSeconds).length) return;
  const body = JSON.stringify({ rtt_seconds: rttSeconds });
  await request("/v1/rtt", { method: "POST", headers: { "Content-Type": "application/json" }, body });
}

async function roundTripSeconds(url: URL): Promise<number> {
  await timed(url); // opens the connection
  return Math.min(await timed(url), await timed(url));
}

async function timed(url: URL): Promise<number> {
  const began = performance.now();
  await fetch(url, { mode: "no-cors", cache: "no-store" });
  return (performance.now() - began) / 1000;
}
