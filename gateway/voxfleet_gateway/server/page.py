"""The page at `/`, for someone who opens the gateway in a browser."""

from aiohttp import web

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>VoxFleet</title>
<style>body{font:16px/1.5 system-ui;max-width:42rem;margin:3rem auto;padding:0 1rem}
textarea{width:100%;height:7rem}</style>
<h1>VoxFleet</h1>
<form id="form"><p><select id="model" aria-label="Model"></select></p>
<p><textarea id="input" aria-label="Text" required>Hello from VoxFleet.</textarea></p>
<p><button>Speak</button> <output id="note"></output></p><audio id="audio" controls></audio></form>
<script>
const at = id => document.getElementById(id);
fetch("/v1/models").then(r => r.json()).then(list => list.data.forEach(m => at("model").add(new Option(m.id))));
at("form").onsubmit = async event => {
  event.preventDefault();
  at("note").value = "waiting for a region…";
  const body = JSON.stringify({model: at("model").value, input: at("input").value, response_format: "wav"});
  const answer = await fetch("/v1/audio/speech", {method: "POST", headers: {"Content-Type": "application/json"}, body});
  if (!answer.ok) { at("note").value = (await answer.json()).error.message; return; }
  at("audio").src = URL.createObjectURL(await answer.blob());
  at("note").value = `${answer.headers.get("Voxfleet-Region")}: ${answer.headers.get("Voxfleet-Route")}`;
  at("audio").play();
};
</script></html>
"""


async def page(_request: web.Request) -> web.Response:
    """A text field and a player."""
    return web.Response(text=PAGE, content_type="text/html")
