"""Voices over HTTP: made in one gateway, used through another, fetched by pods, owned by tenants."""

import asyncio
import errno
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from voxfleet_gateway.decisions.voice_names import is_voice_id
from voxfleet_gateway.tokens import gateway_token, voice_token
from voxfleet_inference.voices.remote_source import RemoteSourceError, RemoteVoiceSource

FORM = {"name": "Ada", "transcript": "What I said.", "consent": "in writing"}
KEY = "x"  # the internal key of `wire`'s gateways
VOICES = "/v1/audio/voices"


Nodes = Any


@pytest.mark.parametrize("path", [VOICES, "/v1/voices"])
async def test_a_voice_is_made_listed_got_and_deleted(nodes: Nodes, path: str) -> None:
    async with nodes() as (node,):
        status, made = await node.make()
        assert status == 200
        assert is_voice_id(made["id"])
        assert (await node.make(name="Eve"))[1] == made | {"name": "Eve"}
        _, listed = await node.send("GET", path)
        assert [voice["id"] for voice in listed["data"]] == ["default", "random", made["id"]]
        assert listed["aliases"]["nova"] == "default"
        _, got = await node.send("GET", f"{path}/{made['id']}")
        assert (got["name"], got["transcript"], got["consent"]) == ("Eve", FORM["transcript"], FORM["consent"])
        assert (await node.send("GET", f"{path}/default"))[1]["type"] == "built_in"
        assert await node.send("DELETE", f"{path}/{made['id']}") == (
            200, {"id": made["id"], "object": "audio.voice.deleted", "deleted": True},
        )  # fmt: skip
        for method in ("GET", "DELETE"):
            status, error = await node.send(method, f"{path}/{made['id']}")
            assert (status, error["error"]["code"]) == (404, "voice_not_found")
        assert node.gateway.speech.bodies.used_bytes == 0


async def test_a_voice_is_spoken_by_its_name_by_the_tenant_that_has_it(nodes: Nodes, wire: Any) -> None:
    pod = wire.pod(wire.ok + b"Connection: close\r\nContent-Length: 1\r\n\r\nx")
    async with nodes(pods=(pod,), named={"voices": {"narrator": "random"}}) as (node,):
        _, made = await node.make(tenant="acme")
        for voice in ("Ada", made["id"], {"id": "Ada"}, "narrator", "alloy", None):
            wire.report(node.gateway, state="ready", free_rows=64)
            assert await node.speak(voice, "acme") == 200, voice
        for tenant, voice in (("other", "Ada"), ("acme", "Eve")):
            body = {"model": "m", "input": "hi", "voice": voice}
            status, error = await node.send("POST", "/v1/audio/speech", tenant, json=body)
            assert (status, error["error"]["code"]) == (400, "voice_not_found")
            assert "narrator" in error["error"]["message"]
            assert ("Ada" in error["error"]["message"].partition("; given")[0]) == (tenant == "acme")
        await node.make(b"another", tenant="acme")
        status, error = await node.send("POST", "/v1/audio/speech", "acme", json=body | {"voice": "Ada"})
        assert (status, error["error"]["code"]) == (400, "voice_ambiguous")
        _, listed = await node.send("GET", VOICES, "acme")
        assert listed["aliases"]["narrator"] == "random"
        assert {"id": "narrator", "name": "narrator"} in listed["voices"]


async def test_json_and_a_form_make_the_same_voice(nodes: Nodes) -> None:
    async with nodes() as (node,):
        _, made = await node.make(b"sound")
        status, same = await node.send("POST", VOICES, json=FORM | {"audio_sample": "c291bmQ="})
    assert (status, same["id"]) == (200, made["id"])


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"data": b"x", "headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type"),
        ({"json": FORM}, 400, "missing"),
        ({"json": {"name": "x", "seed": -1}}, 400, "invalid"),
        ({"data": b"nonsense", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400, "invalid_form"),
        ({"data": b"nonsense", "headers": {"Content-Type": "multipart/form-data"}}, 400, "invalid_form"),
        ({"json": FORM, "headers": {"Origin": "https://evil.example"}}, 403, "origin_not_allowed"),
    ],
)
async def test_a_wrong_upload_is_refused(nodes: Nodes, options: dict[str, Any], status: int, code: str) -> None:
    async with nodes() as (node,):
        given, error = await node.send("POST", VOICES, **options)
        assert not node.repository.index.headers
        assert node.gateway.speech.bodies.used_bytes == 0
    assert (given, error["error"]["code"]) == (status, code)


async def test_a_large_upload_is_refused_as_it_arrives(nodes: Nodes) -> None:
    async with nodes(max_body_bytes=100_000) as (node,):
        status, error = await node.make(b"x" * 200_000)
    assert (status, error["error"]["code"]) == (413, "body_too_large")


async def test_without_a_folder_there_are_the_built_in_voices_alone(nodes: Nodes) -> None:
    async with nodes(voices_dir="") as (node,):
        status, error = await node.make()
        assert (status, error["error"]["code"]) == (501, "voices_not_kept")
        status, listed = await node.send("GET", VOICES)
    assert (status, [voice["id"] for voice in listed["data"]]) == (200, ["default", "random"])


async def test_limits_and_a_full_disk_are_507_and_an_unusable_one_503(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes(max_voices=1) as (node,):
        assert (await node.make())[0] == 200
        assert (await node.make(b"other"))[1]["error"]["code"] == "voices_full"
        assert (await node.make(b"other", tenant="t"))[0] == 200
        for number, status in ((errno.ENOSPC, 507), (errno.EIO, 503)):
            error = OSError(number, "no")
            with monkeypatch.context() as patched:
                patched.setattr(os, "fsync", lambda _, error=error: (_ for _ in ()).throw(error))
                assert (await node.make(b"more", tenant=f"{number}"))[0] == status
        assert (await node.make(b"more", tenant="u"))[0] == 200


async def test_a_tenants_voice_does_not_exist_for_another(nodes: Nodes, wire: Any) -> None:
    async with nodes(pods=(wire.speaking(),)) as (node,):
        _, made = await node.make(tenant="a")
        voice = made["id"]
        assert (await node.send("GET", f"{VOICES}/{voice}", "b"))[0] == 404
        assert (await node.send("DELETE", f"{VOICES}/{voice}", "b"))[0] == 404
        assert len((await node.send("GET", VOICES, "b"))[1]["data"]) == 2
        assert await node.speak(voice, "b") == 400
        assert await node.speak({"id": voice}, "b") == 400
        assert await node.speak({"id": voice}, "a") == 200
        assert (await node.make(tenant="b"))[1]["id"] == voice  # the same recording, each with an owner of its own
        assert (await node.send("DELETE", f"{VOICES}/{voice}", "b"))[0] == 200
        assert (await node.send("GET", f"{VOICES}/{voice}", "a"))[0] == 200


async def test_a_voice_made_in_one_gateway_works_at_once_through_another(nodes: Nodes, wire: Any) -> None:
    async with nodes(3, pods=(wire.speaking(),)) as (one, two, three):
        _, made = await one.make(tenant="a")
        # Nothing compares lists here: it is asked for on the miss, once for all requests.
        assert await asyncio.gather(*(two.speak(made["id"], "a") for _ in range(5))) == [200] * 5
        assert two.repository.index.find("a", made["id"])
        assert (await three.send("GET", f"{VOICES}/{made['id']}", "a"))[0] == 200
        assert await three.speak(f"voice_{'0' * 32}", "a") == 400


async def test_changes_reach_every_gateway_and_a_deletion_stays_one(nodes: Nodes, following: Any, until: Any) -> None:
    async with nodes(3) as started, following(*started):
        one, two, three = started
        made = [(await one.make(b"%d" % number))[1]["id"] for number in range(3)]
        await until(lambda: all(len(node.repository.index.of_tenant("")) == 3 for node in started))
        await three.send("DELETE", f"{VOICES}/{made[0]}")
        await until(lambda: all(not node.repository.index.find("", made[0]) for node in started))
        assert (await two.send("GET", f"{VOICES}/{made[0]}"))[0] == 404
        assert (await two.make(b"0"))[1]["id"] == made[0]  # made again, after the deletion
        await until(lambda: len({node.repository.index.digest() for node in started}) == 1)
        assert all(node.repository.index.find("", made[0]) for node in started)


async def test_long_lists_are_read_page_by_page(
    nodes: Nodes, following: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxfleet_gateway.server.voices.internal_routes.PAGE_VOICES", 2)
    async with nodes(2) as (one, two):
        for number in range(5):
            await one.make(b"%d" % number)
        async with following(two):
            await until(lambda: two.repository.index.digest() == one.repository.index.digest())
            await until(lambda: two.peers.read)
        address = f"127.0.0.1:{one.internal_port}"
        assert two.peers.read[address].last_change == one.repository.index.last_change


async def test_a_gateway_that_was_away_catches_up(nodes: Nodes, following: Any, until: Any) -> None:
    async with nodes(2) as (one, two):
        kept, gone = [(await one.make(each))[1]["id"] for each in (b"1", b"2")]
        await two.repository.find("", gone)
        await one.send("DELETE", f"{VOICES}/{gone}")
        async with following(two):
            await until(lambda: two.repository.index.digest() == one.repository.index.digest())
        assert await two.repository.read("", kept) == await one.repository.read("", kept)
        assert await two.repository.read("", gone) is None


async def test_limits_hold_after_a_restart(nodes: Nodes, tmp_path: Path) -> None:
    for status in (200, 507):
        async with nodes(voices_dir=str(tmp_path / "kept"), max_voices=1) as (node,):
            assert (await node.make(b"%d" % status))[0] == status


async def test_all_gateways_may_end_at_once_and_one_folder_is_enough(
    nodes: Nodes, following: Any, until: Any, tmp_path: Path
) -> None:
    async with nodes(2) as started, following(*started):
        one, two = started
        kept, gone = [(await one.make(each, "a"))[1]["id"] for each in (b"1", b"2")]
        await two.send("DELETE", f"{VOICES}/{gone}", "a")
        await until(lambda: one.repository.index.digest() == two.repository.index.digest())
        await until(lambda: one.repository.index.find("a", kept) and two.repository.index.find("a", kept))
        ports = [node.internal_port for node in started]
    shutil.rmtree(tmp_path / str(ports[0]))  # a volume that was lost
    async with nodes(ports=ports) as started, following(*started):
        await until(lambda: all(node.repository.index.find("a", kept) for node in started))
        assert [(await node.send("GET", f"{VOICES}/{gone}", "a"))[0] for node in started] == [404, 404]
        assert all([await node.repository.read_own(("a", kept)) for node in started])


DAY = 24 * 3600 * 10**6  # microseconds


@pytest.mark.parametrize(("their_since_days", "comes_back"), [(60, False), (39, True)])
async def test_what_was_deleted_during_a_long_absence_stays_deleted(
    nodes: Nodes,
    following: Any,
    until: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    their_since_days: int,
    comes_back: bool,  # noqa: FBT001
) -> None:
    """Gateways remember a deletion for 30 days: one that is away for 40 has to ask what is left."""
    now = time.time_ns() // 1000
    with monkeypatch.context() as patched:
        patched.setattr("voxfleet_gateway.voices.repository.now_microseconds", lambda: now - 50 * DAY)
        async with nodes(2) as started, following(*started):
            one, two = started
            kept, gone = [(await one.make(each))[1]["id"] for each in (b"1", b"2")]
            await until(lambda: one.repository.index.digest() == two.repository.index.digest())
            await until(lambda: two.repository.recorded_until)
            ports = [node.internal_port for node in started]
    folders = [tmp_path / str(port) for port in ports]
    os.utime(folders[1] / ".presence", ns=(1000 * (now - 40 * DAY),) * 2)
    (folders[0] / ".presence").write_text(str(now - their_since_days * DAY))
    next(folders[0].glob(f"*{gone}.voice")).unlink()  # deleted 35 days ago, and the deletion forgotten 5 days ago
    monkeypatch.setattr("voxfleet_gateway.voices.absence.PATIENCE_PASSES", 3)
    async with nodes(ports=ports, voice_sync_seconds=0.05) as (one, two):
        assert (await two.send("GET", VOICES))[0] == 503
        async with following(two, one):
            await until(lambda: two.repository.is_present)
            await until(lambda: one.repository.index.digest() == two.repository.index.digest())
        for node in (one, two):
            found = [voice["id"] for voice in (await node.send("GET", VOICES))[1]["data"]]
            assert set(found) == {"default", "random", kept, *([gone] if comes_back else [])}


async def test_too_many_unknown_voices_at_once_are_503(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch, until: Any
) -> None:
    monkeypatch.setattr("voxfleet_gateway.voices.repository.MAX_ASKING", 2)
    async with nodes() as (node,):
        never = asyncio.Event()
        node.repository.ask_peers = lambda _key: never.wait()
        asking = [asyncio.create_task(node.send("GET", f"{VOICES}/voice_{digit * 32}")) for digit in "01"]
        await until(lambda: len(node.repository.asking) == 2)
        assert (await node.send("GET", f"{VOICES}/voice_{'2' * 32}"))[0] == 503
        for task in [*asking, *node.repository.asking.values()]:
            task.cancel()


async def test_gateways_may_share_a_folder(nodes: Nodes, tmp_path: Path) -> None:
    async with nodes(2, voices_dir=str(tmp_path / "shared"), voice_peers="") as (one, two):
        _, made = await one.make()
        assert (await two.send("GET", f"{VOICES}/{made['id']}"))[0] == 200
        await one.send("DELETE", f"{VOICES}/{made['id']}")
        assert len((await two.send("GET", VOICES))[1]["data"]) == 2


async def test_a_pod_fetches_a_voice_with_the_token_of_its_request(nodes: Nodes, wire: Any) -> None:
    headers: list[bytes] = []

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(wire.ok + b"Content-Length: 4\r\n\r\nRIFF")
        writer.close()

    async with nodes(2, pods=(pod,)) as (one, two):
        _, made = await one.make(b"sound", tenant="a/b")
        assert await one.speak(made["id"], "a/b") == 200
        (line,) = [each for each in headers[0].split(b"\r\n") if each.lower().startswith(b"voxfleet-voice-token: ")]
        token = line.split(b": ")[1].decode()
        for node in (one, two):  # whichever gateway its voice source is
            source = RemoteVoiceSource(f"http://127.0.0.1:{node.internal_port}", None)
            voice = await source.fetch(made["id"], token)
            assert voice is not None
            assert (voice.payload, voice.metadata.transcript) == (b"sound", FORM["transcript"])
            assert await source.fetch(f"voice_{'0' * 32}", token) is None
            assert await source.fetch(made["id"], voice_token(KEY, "other", int(time.time()) + 60)) is None
            wrong = voice_token("other key", "a/b", int(time.time()) + 60)
            for refused in ("", "x", "1.2.3", wrong, voice_token(KEY, "a/b", int(time.time()) - 1)):
                with pytest.raises(RemoteSourceError, match="401"):
                    await source.fetch(made["id"], refused)


async def test_a_damaged_file_is_fetched_from_a_peer_again(nodes: Nodes, tmp_path: Path) -> None:
    async with nodes(2) as (one, two):
        _, made = await one.make()
        good = await two.repository.read("", made["id"])
        (path,) = (tmp_path / str(one.internal_port)).glob("*.voice")
        path.write_bytes(path.read_bytes()[:-1])
        assert await one.repository.read("", made["id"]) == good


async def test_a_list_has_what_its_reader_lacks(nodes: Nodes) -> None:
    async with nodes() as (node,):
        url = f"http://127.0.0.1:{node.internal_port}/internal/voices"
        headers = {"Authorization": f"Bearer {gateway_token(KEY)}"}

        async def read(**query: str) -> dict[str, Any]:
            async with node.session.get(url, params=query, headers=headers) as response:
                return dict(await response.json())

        await node.make(b"1")
        first = await read()
        await node.make(b"2")
        names = {"process": first["process"], "after": str(first["last_change"])}
        assert [len(first["voices"]), len((await read(**names))["voices"])] == [1, 1]
        assert len((await read(**names | {"process": "another"}))["voices"]) == 2
        same = await read(process="another", digest=node.repository.index.digest())
        assert (same["voices"], same["last_change"]) == ([], node.repository.index.last_change)
        for after in ("", "-1", "x", "9" * 400, "\u0661"):
            assert len((await read(**names | {"after": after}))["voices"]) in {0, 2}


async def test_peers_need_the_gateways_token(nodes: Nodes) -> None:
    async with nodes() as (node,):
        for method, path in (("GET", "/internal/voices"), ("POST", "/internal/voices/changed")):
            for token, status in (("", 401), (voice_token(KEY, "", 2**40), 401), (gateway_token(KEY), (200, 202))):
                url = f"http://127.0.0.1:{node.internal_port}{path}"
                async with node.session.request(method, url, headers={"Authorization": f"Bearer {token}"}) as response:
                    assert response.status in (status if isinstance(status, tuple) else (status,))
