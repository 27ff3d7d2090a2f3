"""The page at `/`: a form that sends one speech request and plays the response.

Knows: that the page also times a request to each region's gateway, after it has loaded, and reports the round trips
(`/v1/rtt`); that its policy allows connections to these gateways and nowhere else; that it names the location databases
whose licences ask for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from aiohttp import web

from voxfleet_gateway.server.clients.clients import Clients
from voxfleet_gateway.server.middleware import CONTEXT

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>VoxFleet</title>
<style>body{font:16px/1.5 system-ui;max-width:42rem;margin:3rem auto;padding:0 1rem}
textarea{width:100%;height:7rem}</style>
<h1>VoxFleet</h1>
<form id="form"><p><select id="model" aria-label="Model"></select></p>
<p><textarea id="input" aria-label="Text" required>Hello from VoxFleet.</textarea></p>
<p><input id="key" type="password" autocomplete="off" placeholder="API key, if required" aria-label="API key"></p>
<p><button>Speak</button> <output id="note"></output></p><audio id="audio" controls></audio></form>
<footer>{footer}</footer>
<script>
const at = id => document.getElementById(id);
const authorization = () => at("key").value ? {"Authorization": `Bearer ${at("key").value}`} : {};
const list = async () => {
  const response = await fetch("/v1/models", {headers: authorization()});
  if (!response.ok) { at("note").value = (await response.json()).error.message; return; }
  at("note").value = "";
  at("model").replaceChildren(...(await response.json()).data.map(m => new Option(m.id)));
};
list();
at("key").onchange = list;
at("form").onsubmit = async event => {
  event.preventDefault();
  at("note").value = "waiting for a region…";
  const body = JSON.stringify({model: at("model").value, input: at("input").value, response_format: "wav"});
  const headers = {"Content-Type": "application/json", ...authorization()};
  const response = await fetch("/v1/audio/speech", {method: "POST", headers, body});
  if (!response.ok) { at("note").value = (await response.json()).error.message; return; }
  at("audio").src = URL.createObjectURL(await response.blob());
  at("note").value = `${response.headers.get("Voxfleet-Region")}: ${response.headers.get("Voxfleet-Route")}`;
  at("audio").play();
};
const seconds = async url => {
  const began = performance.now();
  await fetch(url, {mode: "no-cors", cache: "no-store"});
  return (performance.now() - began) / 1000;
};
const measure = async () => {
  const regions = (await (await fetch("/v1/rtt", {headers: authorization()})).json()).regions ?? {};
  const rtt_seconds = {};
  for (const [region, url] of Object.entries(regions).slice(0, 8)) {
    const probe = new URL("/health/live", url);
    try {
      await seconds(probe);  // opens the connection
      rtt_seconds[region] = Math.min(await seconds(probe), await seconds(probe));
    } catch { /* a gateway that is away has no round trip */ }
  }
  if (!Object.keys(rtt_seconds).length) return;
  const headers = {"Content-Type": "application/json", ...authorization()};
  await fetch("/v1/rtt", {method: "POST", headers, body: JSON.stringify({rtt_seconds})});
};
addEventListener("load", () => setTimeout(measure, 2000));
</script></html>
"""


POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src {}; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@dataclass(slots=True)
class Page:
    """The handler."""

    clients: Clients

    async def get(self, request: web.Request) -> web.Response:
        """Respond with the page."""
        urls = self.clients.rtt.gateway_urls(request[CONTEXT].caller).values()
        links = self.clients.locator.database.attributions()
        footer = " · ".join(f'<small><a href="{each.url}">{escape(each.text)}</a></small>' for each in links)
        policy = {"Content-Security-Policy": POLICY.format(" ".join(["'self'", *origins(urls)]))}
        return web.Response(text=PAGE.replace("{footer}", footer), content_type="text/html", headers=HEADERS | policy)


def origins(urls: Iterable[str]) -> list[str]:
    """Return the origins of URLs, as a policy names them; a host that could end a source list is left out."""
    parts = [urlsplit(url) for url in urls]
    allowed = {f"{each.scheme}://{each.netloc}" for each in parts if not set(each.netloc) & set(" ;,'\"")}
    return sorted(each for each in allowed if each.startswith("https://"))
