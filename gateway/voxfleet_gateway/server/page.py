"""The page at `/`: a form that sends one speech request and plays the response."""

from aiohttp import web

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
</script></html>
"""


HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


async def page(_request: web.Request) -> web.Response:
    """Respond with the page."""
    return web.Response(text=PAGE, content_type="text/html", headers=HEADERS)
