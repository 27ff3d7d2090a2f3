from __future__ import annotations

import asyncio
import base64
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import openai
import pytest
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.engine.messages import VoicePrompt
from voxfleet_inference.server.catalog import uploads
from voxfleet_inference.voices import disk_store
from voxfleet_inference.voices.prompt_builders import BUILT_IN_VOICE_TEXT

RATE = 44100
SPEECH = {"model": "voxcpm-1.5", "input": "Say something.", "response_format": "pcm"}
FORM = {"name": "Ada", "transcript": "What I said.", "consent": "Ada Example agreed in writing"}


class CountingGate(threading.Event):
    """Counts the recordings that come to be encoded."""

    entries = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.entries += 1
        return super().wait(timeout)


def recording(seconds: float = 2.0, name: str = "wav") -> bytes:
    encoder = make_encoder(FORMATS[name], RATE, RATE)
    return encoder.encode((0.3 * np.sin(np.arange(int(seconds * RATE)) * 0.05)).astype(np.float32)) + encoder.finish()


@pytest.fixture
async def keeper(start_server: Any, tone_model: Any, wait_until: Any, tmp_path: Path) -> Any:
    async with start_server(tone_model, voices_dir=tmp_path / "voices", max_voices=3) as server:
        await wait_until(lambda: server.lifecycle.is_ready, 30)
        yield server


async def ask(server: Any, method: str, path: str, **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, timeout=60, verify=False) as client:  # noqa: S501 - plain HTTP
        return await client.request(method, path, **more)


async def upload(server: Any, file: bytes | None = None, **changes: Any) -> httpx.Response:
    data = {name: value for name, value in {**FORM, **changes}.items() if value is not None}
    files = {"audio_sample": ("ada.wav", recording() if file is None else file)}
    return await ask(server, "POST", "/v1/audio/voices", data=data, files=files)


def files_of(server: Any) -> list[str]:
    return sorted(each.name for each in server.service.settings.voices_dir.iterdir())


async def test_an_uploaded_voice_speaks_and_is_encoded_once(keeper: Any) -> None:
    gate = keeper.model.voice_gate = CountingGate()
    gate.set()
    made = (await upload(keeper)).json()
    assert made["object"] == "audio.voice"
    assert (made["name"], made["type"]) == ("Ada", "audio_sample")
    for _ in range(2):
        assert (await ask(keeper, "POST", "/v1/audio/speech", json={**SPEECH, "voice": made["id"]})).status_code == 200
    voice = keeper.model.prompts[-1]
    assert isinstance(voice, VoicePrompt)
    assert voice.text == "What I said."
    assert files_of(keeper) == [made["id"] + ".voice"]
    assert gate.entries == 1


async def test_openais_client_makes_and_deletes_a_voice(keeper: Any) -> None:
    async with openai.AsyncOpenAI(base_url=f"{keeper.url}/v1", api_key="none", max_retries=0) as client:
        made = await client.audio.voices.create(
            name="Ada",
            audio_sample=("ada.mp3", recording(name="mp3")),
            consent="Ada agreed in writing",
            extra_body={"transcript": "What I said."},
        )
        assert made.id.startswith("voice_")
        assert (await client.audio.voices.delete(made.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.audio.voices.delete(made.id)
    assert files_of(keeper) == []


async def test_a_voice_is_listed_looked_at_and_deleted_under_both_paths(keeper: Any) -> None:
    voice_id = (await upload(keeper)).json()["id"]
    listed = (await ask(keeper, "GET", "/v1/voices")).json()
    assert [voice["id"] for voice in listed["data"]] == ["default", "random", voice_id]
    assert listed["aliases"]["alloy"] == "default"
    assert "What I said." not in str(listed)
    one = (await ask(keeper, "GET", f"/v1/audio/voices/{voice_id}")).json()
    assert (one["transcript"], one["consent"]) == (FORM["transcript"], FORM["consent"])
    assert (await ask(keeper, "DELETE", f"/v1/voices/{voice_id}")).json()["object"] == "audio.voice.deleted"
    spoken = await ask(keeper, "POST", "/v1/audio/speech", json={**SPEECH, "voice": voice_id})
    assert (spoken.status_code, spoken.json()["error"]["code"]) == (400, "voice_not_found")
    assert (await ask(keeper, "GET", f"/v1/audio/voices/{voice_id}")).status_code == 404


async def test_the_same_recording_and_transcript_are_the_same_voice_by_its_newest_name(keeper: Any) -> None:
    first, second = (await upload(keeper)).json(), (await upload(keeper, name="Ada 2")).json()
    other = (await upload(keeper, transcript="Something else.")).json()
    assert first["id"] == second["id"] != other["id"]
    assert first["created_at"] == second["created_at"]
    assert (await ask(keeper, "GET", f"/v1/audio/voices/{first['id']}")).json()["name"] == "Ada 2"


async def test_json_with_base64_is_taken_too(keeper: Any) -> None:
    body = {**FORM, "audio_sample": base64.b64encode(recording()).decode(), "consent": True}
    assert (await ask(keeper, "POST", "/v1/audio/voices", json=body)).json()["id"] == (await upload(keeper)).json()[
        "id"
    ]


async def test_a_designed_voice_is_the_same_for_the_same_seed(keeper: Any) -> None:
    body = {"name": "seven", "seed": 7}
    made, again = [(await ask(keeper, "POST", "/v1/audio/voices", json=body)).json() for _ in range(2)]
    other = (await ask(keeper, "POST", "/v1/audio/voices", json={**body, "seed": 8, "text": "I am eight."})).json()
    assert made["id"] == again["id"] != other["id"]
    assert (made["type"], made["seed"]) == ("seed", 7)
    await ask(keeper, "POST", "/v1/audio/speech", json={**SPEECH, "voice": other["id"]})
    voice = keeper.model.prompts[-1]
    assert voice.text == "I am eight."
    assert len(voice.latents) == len("I am eight.")
    await ask(keeper, "POST", "/v1/audio/speech", json={**SPEECH, "voice": made["id"]})
    assert keeper.model.prompts[-1].text == BUILT_IN_VOICE_TEXT


async def test_a_designed_voice_that_says_too_much_is_refused(keeper: Any) -> None:
    body = {"name": "long", "seed": 7, "text": "x" * 190}
    refused = await ask(keeper, "POST", "/v1/audio/voices", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "transcript")
    assert "within 30 seconds" in refused.json()["error"]["message"]
    assert files_of(keeper) == []


async def test_openais_names_speak_with_the_built_in_voice(keeper: Any) -> None:
    for name in ("alloy", "nova", "shimmer"):
        assert (await ask(keeper, "POST", "/v1/audio/speech", json={**SPEECH, "voice": name})).status_code == 200
        assert keeper.model.prompts[-1].text == BUILT_IN_VOICE_TEXT


async def test_an_alias_names_a_stored_voice(
    start_server: Any, make_model: Any, wait_until: Any, tmp_path: Path
) -> None:
    async with start_server(make_model(), voices_dir=tmp_path) as server:
        await wait_until(lambda: server.lifecycle.is_ready, 30)
        voice_id = (await upload(server)).json()["id"]
    async with start_server(model := make_model(), voices_dir=tmp_path, voice_aliases=f"nova={voice_id}") as server:
        await wait_until(lambda: server.lifecycle.is_ready, 30)
        assert (await ask(server, "POST", "/v1/audio/speech", json={**SPEECH, "voice": "nova"})).status_code == 200
    assert model.prompts[-1].text == "What I said."


def voice_of(model: Any) -> str:
    return str(model.prompts[-1].text)


async def speak_as(server: Any, voice: Any) -> httpx.Response:
    return await ask(server, "POST", "/v1/audio/speech", json={**SPEECH, "voice": voice})


async def test_a_stored_voice_is_found_by_its_id_or_its_name(keeper: Any) -> None:
    made = (await upload(keeper, name="Ada of the north")).json()
    for voice in (made["id"], {"id": made["id"]}, "Ada of the north", {"id": "Ada of the north"}):
        assert (await speak_as(keeper, voice)).status_code == 200, voice
        assert voice_of(keeper.model) == "What I said."
    shown = await ask(keeper, "GET", "/v1/audio/voices/Ada%20of%20the%20north")
    assert shown.json()["id"] == made["id"]


async def test_a_stored_voice_goes_before_openais_voice_of_that_name(keeper: Any) -> None:
    made = (await upload(keeper, name="nova")).json()
    assert (await speak_as(keeper, "nova")).status_code == 200
    assert voice_of(keeper.model) == "What I said."
    aliases = (await ask(keeper, "GET", "/v1/audio/voices")).json()["aliases"]
    assert ("nova" in aliases, aliases["alloy"]) == (False, "default")
    await ask(keeper, "DELETE", f"/v1/audio/voices/{made['id']}")
    assert (await speak_as(keeper, "nova")).status_code == 200
    assert voice_of(keeper.model) == BUILT_IN_VOICE_TEXT


async def test_a_name_of_several_voices_is_an_error_with_their_ids(keeper: Any) -> None:
    ids = [(await upload(keeper, name="Twin", transcript=f"Number {number}.")).json()["id"] for number in (1, 2)]
    refused = (await speak_as(keeper, "Twin")).json()["error"]
    assert (refused["param"], refused["code"]) == ("voice", "voice_ambiguous")
    assert all(each in refused["message"] for each in ids)
    assert (await speak_as(keeper, ids[0])).status_code == 200


async def test_an_unknown_voice_is_an_error_that_lists_the_known_ones(keeper: Any) -> None:
    await upload(keeper, name="Ada")
    await upload(keeper, name="x" * 256, transcript="A long name.")
    refused = (await speak_as(keeper, "nobody")).json()["error"]
    assert (refused["param"], refused["code"]) == ("voice", "voice_not_found")
    assert "this server has default, random, Ada, xxx" in refused["message"]
    assert "shimmer, verse (GET /v1/audio/voices lists them); given 'nobody'" in refused["message"]
    assert len(refused["message"]) < 600


async def test_the_list_of_known_voices_is_bounded(
    start_server: Any, make_model: Any, wait_until: Any, tmp_path: Path
) -> None:
    aliases = ",".join(f"narrator-{number}=default" for number in range(500))
    async with start_server(make_model(), voices_dir=tmp_path, voice_aliases=aliases) as server:
        await wait_until(lambda: server.lifecycle.is_ready, 30)
        message = (await speak_as(server, "y" * 5000)).json()["error"]["message"]
    assert "narrator-21 and 491 more" in message
    assert len(message) < 700


async def test_null_in_json_is_a_field_left_out(keeper: Any) -> None:
    body = {"name": "seven", "seed": 7, "audio_sample": None, "transcript": None, "consent": None, "type": None}
    assert (await ask(keeper, "POST", "/v1/audio/voices", json=body)).json()["seed"] == 7


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"name": None}, "name", "'name' is missing; it must be a string of 1 to 256"),
    ({"name": "x" * 257}, "name", "given 257 characters"),
    (
        {"transcript": None},
        "transcript",
        "without which the model cannot use it (OpenAI's client sends it by extra_body)",
    ),
    ({"transcript": "y" * 1001}, "transcript", "1 to 1000 characters"),
    ({"consent": None}, "consent", "'consent' is missing"),
    ({"consent": "false"}, "consent", "given 'false'"),
    ({"type": "prompt"}, "type", "audio_sample, seed or prompt; given 'prompt' together with 'audio_sample'"),
    ({"prompt": "a calm voice"}, "prompt", "comes from one of them"),
    ({"type": "design"}, "type", "audio_sample, seed or prompt; given 'design'"),
    ({"seed": "7"}, "seed", "comes from one of them"),
    ({"file": b""}, "audio_sample", "given 0 bytes"),
    ({"file": b"not a sound"}, "audio_sample", "no audio file"),
    ({"file": recording(0.5)}, "audio_sample", "0.50 s long; the limits are 1 to 30 s"),
    ({"file": recording(31.5)}, "audio_sample", "longer than 30 s; the limits are 1 to 30 s"),
    ({"file": b"ffconcat version 1.0\nfile /etc/hostname\n"}, "audio_sample", "no audio file"),
]


async def test_wrong_uploads_name_the_field_and_its_bounds(keeper: Any) -> None:
    for changes, param, words in WRONG:
        refused = await upload(keeper, **changes)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param), changes
        assert words in refused.json()["error"]["message"]
    assert files_of(keeper) == []


async def test_a_body_of_another_kind_or_too_large_is_refused(
    start_server: Any, tone_model: Any, wait_until: Any, tmp_path: Path
) -> None:
    async with start_server(tone_model, voices_dir=tmp_path, max_body_bytes=2000) as server:
        await wait_until(lambda: server.lifecycle.is_ready, 30)
        plain = await ask(server, "POST", "/v1/audio/voices", content=b"x", headers={"content-type": "text/plain"})
        broken = await ask(
            server,
            "POST",
            "/v1/audio/voices",
            content=b"x",
            headers={"content-type": "multipart/form-data; boundary=b"},
        )
        assert (plain.status_code, broken.status_code) == (415, 400)
        assert (await upload(server)).status_code == 413


async def test_more_voices_than_the_limit_are_507(keeper: Any) -> None:
    answers = [await upload(keeper, transcript=f"Number {number}.") for number in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 507]
    assert "the limit is 3 (--max-voices)" in answers[-1].json()["error"]["message"]
    assert (await upload(keeper, transcript="Number 0.", name="again")).status_code == 200


async def test_a_full_disk_is_507_and_leaves_no_file(keeper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(disk_store.os, "fsync", no_room)
        refused = await upload(keeper)
    assert refused.status_code == 507
    assert refused.json()["error"]["code"] == "voices_full"
    assert files_of(keeper) == []
    assert (await upload(keeper)).status_code == 200


async def test_a_server_without_a_folder_says_how_to_get_one(server: Any) -> None:
    refused = await upload(server)
    assert refused.status_code == 501
    assert "--voices-dir" in refused.json()["error"]["message"]
    assert (await ask(server, "GET", "/v1/audio/voices/voice_" + "0" * 32)).status_code == 404


async def test_no_name_leads_out_of_the_folder(keeper: Any) -> None:
    for name in (
        "../../etc/passwd",
        "voice_" + "A" * 32,
        "voice_" + "0" * 31,
        "%2e%2e",
        "voice_\u0660",
        "a/../b",
        "\0",
    ):
        spoken = await ask(keeper, "POST", "/v1/audio/speech", json={**SPEECH, "voice": name})
        assert (spoken.status_code, spoken.json()["error"]["param"]) == (400, "voice"), name
        for method in ("GET", "DELETE"):
            asked = await ask(keeper, method, f"/v1/audio/voices/{quote(name)}")
            assert asked.status_code in {404, 405}, name


async def test_a_link_in_the_folder_is_never_followed(keeper: Any, tmp_path: Path) -> None:
    voice_id = (await upload(keeper)).json()["id"]
    kept = keeper.service.settings.voices_dir / f"{voice_id}.voice"
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")
    assert (await ask(keeper, "GET", f"/v1/audio/voices/{voice_id}")).status_code == 404


async def test_an_upload_that_never_ends_is_ended(keeper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    head = b"POST /v1/voices HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    with monkeypatch.context() as patched:
        patched.setattr(uploads, "UPLOAD_SECONDS", 0.2)
        reader, writer = await asyncio.open_connection("127.0.0.1", keeper.port)
        writer.write(head + b"{")
        async with asyncio.timeout(60):
            assert b" 408 " in await reader.readline()
        writer.close()
    assert (await ask(keeper, "POST", "/v1/voices", json={"name": "after it", "seed": 1})).status_code == 200


async def test_uploads_are_bounded_at_a_time(keeper: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 1)
    gate = keeper.model.voice_gate = CountingGate()
    first = asyncio.create_task(upload(keeper))
    await wait_until(lambda: gate.entries > 0, 30)
    refused = await upload(keeper, transcript="Another.")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "voices_busy")
    assert "retry-after" in refused.headers
    gate.set()
    assert (await first).status_code == 200
