// @vitest-environment happy-dom
import { afterEach, describe, expect, test, vi } from "vitest";
import { setApiKey } from "../src/shared/apiKey";
import { served } from "../src/shared/served";
import { reportRoundTrips } from "../src/speak/roundTrips";

const gateway = {
  servedBy: "gateway" as const,
  gatewayUrls: { eu: "https://eu.example/tts", us: "https://us.example" },
};

function page(content: string): ParentNode {
  const root = document.createElement("div");
  const meta = document.createElement("meta");
  meta.name = "voxfleet";
  meta.content = content;
  root.append(meta);
  return root;
}

afterEach(() => {
  vi.unstubAllGlobals();
  setApiKey("");
});

function sentBodies(): string[] {
  const bodies: string[] = [];
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    bodies.push(`${path} ${init.body}`);
    return new Response(null, { status: 204 });
  });
  return bodies;
}

describe("round trips", () => {
  test("are measured at each gateway's health path and reported together", async () => {
    const probed: string[] = [];
    const bodies = sentBodies();
    await reportRoundTrips(gateway, async (url) => {
      probed.push(url.href);
      return url.host === "eu.example" ? 0.02 : 0.1;
    });
    expect(probed).toEqual(["https://eu.example/health/live", "https://us.example/health/live"]);
    expect(bodies).toEqual(['/v1/rtt {"rtt_seconds":{"eu":0.02,"us":0.1}}']);
  });

  test("of a gateway that is away are left out", async () => {
    const bodies = sentBodies();
    await reportRoundTrips(gateway, async (url) => {
      if (url.host === "us.example") throw new TypeError("Failed to fetch");
      return 0.02;
    });
    expect(bodies).toEqual(['/v1/rtt {"rtt_seconds":{"eu":0.02}}']);
  });

  test("are not reported where there are none, or without the key that is needed", async () => {
    const bodies = sentBodies();
    const probe = async () => 0.02;
    await reportRoundTrips({ servedBy: "server" }, probe);
    await reportRoundTrips({ ...gateway, needsKey: true }, probe);
    expect(bodies).toEqual([]);
    setApiKey("k");
    await reportRoundTrips({ ...gateway, needsKey: true }, probe);
    expect(bodies).toHaveLength(1);
  });
});

describe("what the server wrote into the page", () => {
  test("is read from its meta element", () => {
    expect(served(page('{"servedBy": "gateway", "region": "eu"}'))).toEqual({ servedBy: "gateway", region: "eu" });
  });

  test("is that of a speech server where nothing was filled in", () => {
    expect(served(page("__PAGE_CONTEXT__"))).toEqual({ servedBy: "server" });
    expect(served(document.createElement("div"))).toEqual({ servedBy: "server" });
  });
});
