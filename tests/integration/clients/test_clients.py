"""Clients as they are published wait for a wake of 35 s, are interrupted, get a 503, and read the lists they need.

Blocks of docs/clients.md are used with nothing but an address put in. AnythingLLM and SillyTavern are in no package
registry: the requests that their sources form from the page's values are sent.
"""

import asyncio
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_testbed.errors import UnavailableError
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.programs.environments import NODE

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
PAGE = (HERE.parents[2] / "docs" / "clients.md").read_text()
EXAMPLE = "://voice.example.com"
RATE = 24_000
# The clients send their requests within seconds of one another; the wake begins with the first.
WAITED_SECONDS = 25
SENTENCE = "Hello from a region that was asleep a moment ago."
FRAMEWORKS = (
    "openai-python",
    "livekit-openai",
    "livekit-deepgram",
    "livekit-deepgram-http",
    "livekit-cartesia",
    "livekit-cartesia-http",
    "pipecat-openai",
    "pipecat-deepgram",
    "pipecat-cartesia",
)
CLIENTS = (*FRAMEWORKS, "openai-node", "wyoming-openai")
WORDS_OF = ("livekit-cartesia", "pipecat-cartesia")  # plug-ins that read when each word is spoken
RETRYING = ("openai-python", "openai-node", "pipecat-openai", "wyoming-openai")  # by OpenAI's packages
OVER_HTTP = (*RETRYING, "livekit-openai", "livekit-deepgram-http", "livekit-cartesia-http")
SPEAK_AND_COUNT = """
import { once } from "node:events";
console.log("ready");
await once(process.stdin, "data");
const spoken = await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Hello." });
console.log(JSON.stringify({ size: (await spoken.arrayBuffer()).byteLength }));
process.exit(0);
"""


pytestmark = pytest.mark.timeout(900)  # the first test installs the packages, and waits for every client


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What each client printed, and what the two gateways counted."""

    by_client: dict[str, Any]
    closed_by_clients: int
    refused: int


def blocks(language: str, url: str) -> list[str]:
    """Return the page's blocks of a language with a gateway's address in the place of the example's."""
    address = url.removeprefix("http")
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    plain = [re.sub(r"\b(http|ws)s" + re.escape(EXAMPLE), rf"\1{address}", block) for block in found]
    assert all(EXAMPLE not in block for block in plain)
    return plain


def values(url: str) -> tuple[dict[str, str], ...]:
    """Return the settings of Open WebUI, AnythingLLM and SillyTavern."""
    return tuple(dict(line.split("=", 1) for line in block.splitlines()) for block in blocks("ini", url))


def wyoming_command(python: str, url: str, port: int) -> list[str]:
    (block,) = blocks("sh", url)
    words = shlex.split(block.replace("\\\n", " ").replace("0.0.0.0:10300", f"127.0.0.1:{port}"))
    assert words[0] == "python"
    return [python, *words[1:]]


def recording(path: Path) -> Path:
    encoder = make_encoder(FORMATS["wav"], RATE, RATE)
    samples = (0.3 * np.sin(np.arange(2 * RATE) * 0.05)).astype(np.float32)
    path.write_bytes(encoder.encode(samples) + encoder.finish())
    return path


def programs(program: Any, environments: Any, fleet: Any, folder: Path) -> dict[str, Any]:
    """Return every client's program by name."""
    url, refusing, server = fleet.speaking.url, fleet.refusing.url, fleet.lone_url
    python, node, of_node = environments.frameworks, str(NODE / "bin" / "node"), {"folder": environments.node}
    (block,) = blocks("js", url)
    commands = {client: (python, str(PROGRAMS / "speak.py"), client, url, refusing, server) for client in FRAMEWORKS}
    commands["page"] = (python, str(PROGRAMS / "page_lines.py"), url, json.dumps(blocks("python", url)))
    commands["voices"] = (python, str(PROGRAMS / "voices_api.py"), url, str(recording(folder / "ada.wav")))
    commands["openai-node"] = (node, "speak.mjs", url, refusing, server)
    commands["page-js"] = (node, "--input-type=module", "--eval", block + SPEAK_AND_COUNT)
    commands["open-webui"] = (environments.open_webui, str(PROGRAMS / "open_webui_speech.py"), f"{refusing}/v1")
    if not isinstance(environments.wyoming, UnavailableError):
        commands["wyoming-openai"] = wyoming_program(environments.wyoming, url, refusing, server)
    (folder / "open-webui").mkdir()
    more = {"openai-node": of_node, "page-js": of_node, "open-webui": {"variables": web_ui_variables(fleet, folder)}}
    return {name: program(given, folder / f"{name}.log", **more.get(name, {})) for name, given in commands.items()}


def wyoming_program(python: str, *urls: str) -> tuple[str, ...]:
    ports = ports_for_later(len(urls))
    servers = [wyoming_command(python, url, port) for url, port in zip(urls, ports, strict=True)]
    return (python, str(PROGRAMS / "wyoming_speech.py"), *(json.dumps(server) for server in servers))


def web_ui_variables(fleet: Any, folder: Path) -> dict[str, str]:
    # FROM_INIT_PY is set by its own command; the vector database is that of its search, which is not installed.
    fixed = {"FROM_INIT_PY": "true", "WEBUI_SECRET_KEY": "x", "VECTOR_DB": "qdrant"}
    key = {"AUDIO_TTS_OPENAI_API_KEY": fleet.waiting_key}  # as its part of the page says
    return {**fixed, "DATA_DIR": str(folder / "open-webui"), **values(fleet.speaking.url)[0], **key}


async def spoken(open_waking: Any, program: Any, environments: Any, folder: Path) -> Outcomes:
    async with open_waking(folder) as fleet:
        started = programs(program, environments, fleet, folder)
        posted: list[tuple[str, int, str, int]] = []

        async def post_all() -> None:
            posted.extend(await responses(fleet.speaking.url))
            posted.extend(await responses(fleet.lone_url))

        try:
            by_client = await fleet.speak(started, post_all)
        finally:
            for each in started.values():
                each.stop()
        by_client["posted"] = posted
        return Outcomes(by_client, fleet.speaking.responses(499), fleet.refusing.responses(503))


async def responses(url: str) -> list[tuple[str, int, str, int]]:
    """Return what the requests of AnythingLLM and SillyTavern get: voice, status, type, bytes."""
    _, anything, tavern = values(url)
    assert {"TTS_PROVIDER": "generic-openai"}.items() <= anything.items()
    openai = {
        "model": anything["TTS_OPEN_AI_COMPATIBLE_MODEL"],
        "voice": anything["TTS_OPEN_AI_COMPATIBLE_VOICE_MODEL"],
        "input": "Hello.",
    }
    fixed = {"input": "Hello.", "response_format": "mp3", "speed": 1, "model": tavern["openai_compatible_model"]}
    requests = [(anything["TTS_OPEN_AI_COMPATIBLE_ENDPOINT"] + "/audio/speech", openai)]
    voices = tavern["openai_compatible_tts_voices"].split(",")
    requests += [(tavern["openai_compatible_tts_endpoint"], fixed | {"voice": voice}) for voice in voices]
    found = []
    headers = {"Authorization": f"Bearer {anything['TTS_OPEN_AI_COMPATIBLE_KEY']}", "Prefer": "wait=200"}
    async with aiohttp.ClientSession(headers=headers) as http:
        for address, body in requests:
            async with http.post(address, json=body) as response:
                size = len(await response.read())
                found.append((str(body["voice"]), response.status, response.content_type, size))
    return found


@pytest.fixture(scope="module")
def outcomes(open_waking: Any, program: Any, environments: Any, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    return asyncio.run(spoken(open_waking, program, environments, tmp_path_factory.mktemp("clients")))


@pytest.fixture
def result(request: pytest.FixtureRequest, outcomes: Outcomes, environments: Any) -> Any:
    """Return what the client printed; its tests are skipped where no Python for wyoming-openai can be had."""
    if request.param == "wyoming-openai" and isinstance(environments.wyoming, UnavailableError):
        pytest.skip(str(environments.wyoming))
    return outcomes.by_client[request.param]


def for_clients(*names: str) -> Any:
    return pytest.mark.parametrize("result", names, indirect=True)


@for_clients(*CLIENTS)
def test_a_client_outlives_a_wake_of_35_seconds(result: dict[str, Any]) -> None:
    speak = result["speak"]
    assert "error" not in speak, speak
    assert speak["first_seconds"] > WAITED_SECONDS, speak
    assert speak["seconds"] > 1, speak
    assert speak["loudest"] > 1000, speak


@for_clients(*WORDS_OF)
def test_a_client_of_cartesia_reads_when_each_word_is_spoken(result: dict[str, Any]) -> None:
    assert " ".join(result["speak"]["words"]) == SENTENCE


@for_clients(*CLIENTS)
def test_a_client_speaks_at_a_server_without_a_gateway(result: dict[str, Any]) -> None:
    speak = result["at_server"]
    assert "error" not in speak, speak
    assert (speak["seconds"] > 1, speak["loudest"] > 1000) == (True, True), speak


@for_clients(*CLIENTS)
def test_a_client_is_interrupted(result: dict[str, Any]) -> None:
    assert result["interrupt"].get("seconds", 0) > 0, result["interrupt"]


def test_gateway_sees_interrupted_clients_leave(outcomes: Outcomes) -> None:
    """A request whose client has left ends with 499; of clients over HTTP each leaves one at least."""
    interrupted = [name for name in outcomes.by_client if name in OVER_HTTP]
    assert outcomes.closed_by_clients >= len(interrupted), outcomes.closed_by_clients


@for_clients(*CLIENTS)
def test_a_client_says_that_it_was_refused(result: dict[str, Any]) -> None:
    refused = result["refused"]
    assert "error" in refused, refused
    words = ("503", "further request", "synthesis failed", "try again later")  # the last is the close code 1013
    assert any(each in refused["text"] for each in words), refused


@for_clients(*RETRYING)
def test_openais_packages_wait_for_retry_after_twice(result: dict[str, Any]) -> None:
    assert result["refused"]["after_seconds"] >= 2, result["refused"]


@for_clients("openai-python", "openai-node")
def test_openais_packages_read_the_headers_of_a_503(result: dict[str, Any]) -> None:
    refused = result["refused"]
    assert (refused["error"], refused["retry-after"], refused["x-should-retry"]) == ("InternalServerError", "1", "true")


@for_clients("openai-node")
def test_openais_package_for_node_leaves_a_hold(result: dict[str, Any]) -> None:
    assert (result["left"]["error"], result["left"]["seconds"]) == ("APIUserAbortError", 0), result["left"]


@for_clients("wyoming-openai")
def test_wyoming_openai_lists_the_resources_voices(result: dict[str, Any]) -> None:
    assert {"default", "random", "alloy", "nova"} <= set(result["voices"]), result["voices"]


@for_clients("open-webui")
def test_open_webui_lists_models_and_voices_without_a_key(result: dict[str, Any]) -> None:
    assert {"tts-1", "gpt-4o-mini-tts", "voxcpm-1.5"} <= set(result["models"]), result["models"]
    assert {"default", "random", "alloy", "nova"} <= set(result["voices"]), result["voices"]


@for_clients("open-webui")
def test_open_webui_waits_for_a_wake_of_more_than_25_seconds(result: dict[str, Any]) -> None:
    """Its key says that it does; without that it would get a 503 after 25 s (the gateways' default)."""
    spoken = result["spoken"]
    assert (spoken["status"], spoken["type"], spoken["size"] > 1000) == (200, "audio/mpeg", True), spoken
    assert spoken["after_seconds"] > 25, spoken


@for_clients("open-webui")
def test_open_webui_shows_a_503(result: dict[str, Any]) -> None:
    """By its status alone: it reads the body after it has let go of the connection."""
    refused = result["refused"]
    assert (refused["status"], "External: 503" in refused["text"]) == (503, True), refused


@for_clients("page")
def test_each_block_of_python_on_the_page_speaks(result: list[dict[str, Any]]) -> None:
    assert len(result) == len(blocks("python", "http://x"))
    for each in result:
        assert each.get("seconds", 0) > 1, each
    names = {each["client"] for each in result}
    livekit, pipecat = {"livekit openai", "livekit deepgram", "livekit cartesia"}, {"OpenAITTSService"}
    assert {"openai", *livekit, *pipecat, "DeepgramTTSService", "CartesiaTTSService"} <= names


@for_clients("page-js")
def test_the_block_of_javascript_on_the_page_speaks(result: dict[str, int]) -> None:
    assert result["size"] > 1000


@for_clients("posted")
def test_requests_of_anything_llm_and_silly_tavern_speak(result: list[tuple[str, int, str, int]]) -> None:
    assert len(result) == 2 * 4  # at the gateway, and at a server without one
    for voice, status, kind, size in result:
        assert (status, kind, size > 500) == (200, "audio/mpeg", True), voice


@for_clients("voices")
def test_openais_package_makes_voices(result: dict[str, Any]) -> None:
    consent, voice, prompted = result["consent"], result["voice"], result["prompted"]
    assert (consent["object"], consent["language"]) == ("audio.voice_consent", "en-US")
    assert result["renamed"] == [True, "Ada of the north", "Ada of the north"]
    missing = result["without_transcript"]
    assert (missing["param"], "extra_body" in missing["text"]) == ("transcript", True)
    assert (voice["object"], voice["name"], voice["type"]) == ("audio.voice", "Ada", "audio_sample")
    assert (prompted["type"], prompted["prompt"], prompted["prompt_followed"]) == ("prompt", "A calm old man", False)
    assert min(result["sizes"]) > RATE / 10
    assert (result["kept"]["code"], voice["id"] in result["kept"]["text"]) == ("consent_in_use", True)
    assert (result["deleted"], result["listed"]) == ([True, True, True], [consent["id"]])
    assert (result["unknown"]["code"], result["gone"]["type"]) == ("voice_not_found", "NotFoundError")
