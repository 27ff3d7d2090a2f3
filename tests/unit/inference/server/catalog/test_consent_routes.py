"""OpenAI's client stores consents and makes voices that name them, at a server alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.voices.prompt_builders import BUILT_IN_VOICE_TEXT
from voxfleet_protocols.voice_upload import seed_of

CONSENTS = "/v1/audio/voice_consents"
RATE = 48000
SPEECH = {"model": "voxcpm-1.5", "input": "Say something.", "response_format": "pcm"}


def recording(seconds: float = 2.0, name: str = "wav") -> bytes:
    encoder = make_encoder(FORMATS[name], RATE, RATE)
    return encoder.encode((0.3 * np.sin(np.arange(int(seconds * RATE)) * 0.05)).astype(np.float32)) + encoder.finish()


@pytest.fixture
async def keeper(start_server: Any, tone_model: Any, wait_until: Any, tmp_path: Path) -> Any:
    async with start_server(tone_model, voices_dir=tmp_path / "voices", max_voices=3) as server:
        await wait_until(lambda: server.lifecycle.is_ready, 30)
        yield server


@pytest.fixture
async def client(keeper: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{keeper.url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


async def consented(client: openai.AsyncOpenAI, name: str = "Ada", language: str = "en-US") -> Any:
    # The version of the client that these tests are locked to has no voice_consents; the newest one is run in
    # tests/integration/clients.
    files = {"recording": ("yes.wav", recording(40.0 if name == "long" else 1.0), "audio/wav")}
    return await client.post(
        "/audio/voice_consents",
        body={"name": name, "language": language},
        files=files,
        options={"headers": {"Content-Type": "multipart/form-data"}},
        cast_to=object,
    )


async def ask(server: Any, method: str, path: str, **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, timeout=60, verify=False) as http:  # noqa: S501 - plain HTTP
        return await http.request(method, path, **more)


async def test_a_voice_names_its_consent_and_keeps_it(keeper: Any, client: openai.AsyncOpenAI) -> None:
    consent = await consented(client)
    assert consent["id"].startswith("cons_")
    assert (consent["object"], consent["name"], consent["language"]) == ("audio.voice_consent", "Ada", "en-US")
    voice = await client.audio.voices.create(
        name="Ada",
        audio_sample=("ada.wav", recording()),
        consent=consent["id"],
        extra_body={"transcript": "What I said."},
    )
    async with client.audio.speech.with_streaming_response.create(
        model=SPEECH["model"], input="Hello.", voice=voice.id, response_format="pcm"
    ) as spoken:
        assert len(await spoken.read()) > 1000
    assert keeper.model.prompts[-1].text == "What I said."
    assert (await ask(keeper, "GET", f"/v1/audio/voices/{voice.id}")).json()["consent"] == consent["id"]
    kept = (await ask(keeper, "DELETE", f"{CONSENTS}/{consent['id']}")).json()["error"]
    assert (kept["code"], voice.id in kept["message"]) == ("consent_in_use", True)
    await client.audio.voices.delete(voice.id)
    deleted = (await ask(keeper, "DELETE", f"{CONSENTS}/{consent['id']}")).json()
    assert deleted == {"id": consent["id"], "object": "audio.voice_consent", "deleted": True}
    for method in ("GET", "DELETE"):
        assert (await ask(keeper, method, f"{CONSENTS}/{consent['id']}")).status_code == 404


async def test_a_consent_is_no_voice_and_a_voice_no_consent(keeper: Any, client: openai.AsyncOpenAI) -> None:
    consent = (await consented(client, "long"))["id"]
    voice = (await ask(keeper, "POST", "/v1/audio/voices", json={"name": "seven", "seed": 7})).json()["id"]
    listed = (await ask(keeper, "GET", "/v1/audio/voices")).json()["data"]
    assert [each["id"] for each in listed] == ["default", "random", voice]
    assert (await ask(keeper, "GET", CONSENTS)).json()["data"][0]["id"] == consent
    for wrong in (f"/v1/audio/voices/{consent}", f"{CONSENTS}/{voice}", f"{CONSENTS}/..%2f{voice}"):
        for method in ("GET", "DELETE"):
            assert (await ask(keeper, method, wrong)).status_code == 404, (method, wrong)
    spoken = await ask(keeper, "POST", "/v1/audio/speech", json={**SPEECH, "voice": consent})
    assert (spoken.status_code, spoken.json()["error"]["code"]) == (400, "voice_not_found")


async def test_a_voice_with_an_unknown_consent_is_refused(client: openai.AsyncOpenAI) -> None:
    for unknown in ("cons_1234", "cons_" + "0" * 32):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.audio.voices.create(
                name="A",
                audio_sample=("a.wav", recording()),
                consent=unknown,
                extra_body={"transcript": "What I said."},
            )
        assert (refused.value.param, refused.value.code) == ("consent", "consent_not_found")


async def test_consents_are_listed_by_pages_renamed_and_limited(keeper: Any, client: openai.AsyncOpenAI) -> None:
    ids = [(await consented(client, language=language))["id"] for language in ("en", "de", "zh-Hans-CN")]
    assert (await consented(client, name="again", language="en"))["id"] == ids[0]
    with pytest.raises(openai.InternalServerError, match="3 consents are stored; the limit is 3"):
        await consented(client, language="fr")
    first = (await ask(keeper, "GET", f"{CONSENTS}?limit=2")).json()
    rest = (await ask(keeper, "GET", f"{CONSENTS}?limit=2&after={first['last_id']}")).json()
    assert {each["id"] for each in first["data"] + rest["data"]} == set(ids)
    assert (first["has_more"], rest["has_more"], len(rest["data"])) == (True, False, 1)
    for wrong in ("0", "101", "x", "-1", "\u0661"):
        assert (await ask(keeper, "GET", f"{CONSENTS}?limit={wrong}")).json()["error"]["param"] == "limit"
    renamed = (await ask(keeper, "POST", f"{CONSENTS}/{ids[1]}", json={"name": "Neu"})).json()
    assert (renamed["name"], renamed["language"]) == ("Neu", "de")
    assert (await ask(keeper, "POST", f"{CONSENTS}/{ids[1]}", json={"name": ""})).json()["error"]["param"] == "name"


async def test_wrong_consents_name_the_field(keeper: Any) -> None:
    sound = recording()
    for data, file, param in (
        ({"name": "A"}, sound, "language"),
        ({"name": "A", "language": "English!"}, sound, "language"),
        ({"language": "en"}, sound, "name"),
        ({"name": "A", "language": "en"}, b"no sound at all", "recording"),
        ({"name": "A", "language": "en"}, b"", "recording"),
    ):
        refused = await ask(keeper, "POST", CONSENTS, data=data, files={"recording": ("a.wav", file)})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param), data
    assert not any(keeper.service.settings.voices_dir.iterdir())


@pytest.mark.parametrize("name", ["wav", "mp3", "flac", "opus", "aac"])
async def test_recordings_of_every_container_are_consents(keeper: Any, name: str) -> None:
    files = {"recording": (f"yes.{name}", recording(1.0, name))}
    made = await ask(keeper, "POST", CONSENTS, data={"name": "A", "language": "en"}, files=files)
    assert made.status_code == 200, made.text


async def test_a_prompt_gives_a_seed_and_says_that_it_is_not_followed(keeper: Any, client: openai.AsyncOpenAI) -> None:
    prompt = "A calm old man"
    made = await client.post(
        "/audio/voices",
        body={"name": "Sage", "prompt": prompt, "type": "prompt", "script_hint": "I am a voice."},
        options={"headers": {"Content-Type": "application/json"}},
        cast_to=object,
    )
    fields: Any = made
    assert (fields["type"], fields["prompt"], fields["prompt_followed"]) == ("prompt", prompt, False)
    assert fields["seed"] == seed_of(prompt)
    form = {"name": (None, "S"), "prompt": (None, f" {prompt} "), "type": (None, "prompt")}
    again = (await ask(keeper, "POST", "/v1/audio/voices", files=form)).json()
    assert again["seed"] == fields["seed"]
    await ask(keeper, "POST", "/v1/audio/speech", json={**SPEECH, "voice": "Sage"})
    assert keeper.model.prompts[-1].text == "I am a voice."
    await ask(keeper, "POST", "/v1/audio/speech", json={**SPEECH, "voice": "S"})
    assert keeper.model.prompts[-1].text == BUILT_IN_VOICE_TEXT
    chosen = (await ask(keeper, "POST", "/v1/audio/voices", json={"name": "N", "prompt": prompt, "seed": 7})).json()
    assert (chosen["seed"], chosen["prompt"]) == (7, prompt)


async def test_a_server_without_a_folder_keeps_no_consents(server: Any) -> None:
    assert (await ask(server, "GET", CONSENTS)).status_code == 501
