// What the server wrote into this page: which part serves it, and what a gateway's page may connect to.
export interface Served {
  servedBy: "server" | "gateway";
  region?: string;
  /** The most characters of a text: a server's own setting, a gateway's own check. Not in the development server. */
  maxInputCharacters?: number;
  /** Whether requests need an API key. */
  needsKey?: boolean;
  /** The gateways whose round trips this page may measure, by region; its policy allows connections to no others. */
  gatewayUrls?: Record<string, string>;
  /** What the licences of the location databases ask a page to name. */
  attributions?: Attribution[];
}

export interface Attribution {
  text: string;
  url: string;
}

/** Read it; vite's development server leaves the placeholder, and the page is then that of a speech server. */
export function served(root: ParentNode = document): Served {
  const written = root.querySelector<HTMLMetaElement>('meta[name="voxfleet"]')?.content ?? "";
  return written.startsWith("{") ? (JSON.parse(written) as Served) : { servedBy: "server" };
}

/** The most characters of one request; the default of both servers, where vite serves the page. */
export function requestCharacters(): number {
  return served().maxInputCharacters ?? 4096;
}
