"""Keys, rights and limits on the wire, as OpenAI's own client meets them, and the usage log."""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import openai
import pytest

PCM = b"\0" * 48_000  # one second


async def test_openais_client_raises_what_it_raises_with_openai(wire: Any, keyed: Any) -> None:
    async with keyed(wire.speaking(PCM), rules={"public_catalog": True}, limits={"requestsPerSecond": 0.001}) as there:
        for wrong in ("wrong", "late"):
            with pytest.raises(openai.AuthenticationError) as refused:
                await there.speak(wrong)
            assert refused.value.code == "invalid_api_key"
            assert (
                refused.value.response.headers["WWW-Authenticate"] == 'Bearer realm="voxfleet", error="invalid_token"'
            )
        with pytest.raises(openai.PermissionDeniedError) as forbidden:
            await there.speak("none")
        assert (forbidden.value.code, forbidden.value.param) == ("model_forbidden", "model")
        assert await there.speak("one") == PCM
        with pytest.raises(openai.RateLimitError) as limited:
            await there.speak("all")
    assert limited.value.code == "rate_limit_exceeded"
    headers = limited.value.response.headers
    assert 900 < int(headers["Retry-After"]) <= 1000
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-limit-requests"] == "1"
    assert headers["x-ratelimit-reset-requests"].startswith("16m")


async def test_openais_client_waits_for_a_limit_that_is_soon_free(wire: Any, keyed: Any) -> None:
    async with (
        keyed(wire.speaking(PCM), limits={"requestsPerSecond": 0.25}) as there,
        there.client(retries=2) as client,
    ):
        for _ in range(2):
            assert (await client.audio.speech.create(model="m", voice="v", input="hi")).content == PCM
    assert [line["status"] for line in there.lines].count(200) == 2
    assert 429 in [line["status"] for line in there.lines]


async def test_a_private_model_does_not_exist_for_other_keys(wire: Any, keyed: Any) -> None:
    async with keyed(wire.speaking(PCM)) as there:
        with pytest.raises(openai.NotFoundError) as unknown:
            await there.speak("none")
        assert "d/n" not in unknown.value.message
        async with there.client("none") as client:
            assert [model.id async for model in client.models.list()] == []
        async with there.client("one") as client:
            assert [model.id async for model in client.models.list()] == ["m", "d/n"]


GET = b"GET %s HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("path", "is_public", "status"),
    [
        (b"/v1/models", True, 200),
        (b"/v1/models/d/n", True, 200),
        (b"/v1/models", False, 401),
        (b"/v1/audio/speech", True, 401),
        (b"/v1/anything", True, 401),
        (b"/health/live", False, 200),
        (b"/", False, 200),
        (b"/fleet", False, 200),
        (b"/assets/none", False, 404),
    ],
)
async def test_what_is_readable_without_a_key(
    wire: Any, keyed: Any, path: bytes, status: int, *, is_public: bool
) -> None:
    async with keyed(rules={"public_catalog": is_public}) as there:
        answer, _ = await wire.send(there.port, GET % path)
        woken, _ = await wire.send(there.port, wire.post(path=b"/v1/models/m/wake"))
    assert int(answer.split()[1]) == status
    assert int(woken.split()[1]) == 401
    assert there.lines == []


async def test_a_recording_needs_a_key_that_may_upload(wire: Any, keyed: Any) -> None:
    recording = {"extra_body": {"reference_audio": "A" * 100_000}}
    async with keyed(wire.speaking(PCM), wire.speaking(PCM)) as there:
        with pytest.raises(openai.APIStatusError, match="may not upload recordings") as refused:
            await there.speak("all", **recording)
        assert refused.value.status_code == 413
        assert await there.speak("up", **recording) == PCM


async def test_the_pod_gets_tenant_and_priority_from_the_key_and_no_header_of_the_client(wire: Any, keyed: Any) -> None:
    seen = b""

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen = await reader.readuntil(b"\r\n\r\n")
        writer.write(wire.ok + b"Content-Length: 2\r\n\r\nok")
        writer.close()

    forged = b"Authorization: Bearer all\r\nVoxfleet-Tenant: thief\r\nVoxfleet-Priority: 99\r\nVoxfleet-Hop: 1\r\n"
    async with keyed(pod) as there:
        await wire.send(there.port, wire.post(extra=forged))
    given = [line for line in seen.split(b"\r\n") if line.lower().startswith((b"voxfleet-", b"authorization"))]
    assert sorted(given) == [b"Voxfleet-Priority: 5", b"Voxfleet-Tenant: acme"]


async def test_open_requests_are_limited_and_released(wire: Any, keyed: Any) -> None:
    release = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await release.wait()
        writer.write(wire.ok + b"Content-Length: 2\r\n\r\nok")
        writer.close()

    async with keyed(slow, limits={"concurrentRequests": 2}) as there:
        first = [asyncio.create_task(there.speak()) for _ in range(2)]
        use = there.gateway.speech.accounts.uses.setdefault
        async with asyncio.timeout(30):
            while "acme" not in there.gateway.speech.accounts.uses or use("acme", None).open_requests < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        with pytest.raises(openai.RateLimitError, match="2 requests of this tenant are open"):
            await there.speak()
        release.set()
        assert await asyncio.gather(*first) == [b"ok", b"ok"]
        assert await there.speak() == b"ok"
        assert use("acme", None).open_requests == 0


async def test_limits_are_divided_by_the_gateways_that_are_ready(wire: Any, keyed: Any) -> None:
    def slice_(*pods: str) -> dict[str, Any]:
        endpoints = [{"addresses": ["10.0.0.1"], "targetRef": {"name": pod}} for pod in pods]
        return {"metadata": {"namespace": "s", "name": "g"}, "endpoints": endpoints}

    async def limit(there: Any) -> str:
        async with there.client() as client:
            spoken = await client.audio.speech.with_raw_response.create(model="m", voice="v", input="hi")
        return str(spoken.headers["x-ratelimit-limit-requests"])

    async with keyed(wire.speaking(PCM), limits={"requestsPerSecond": 60}) as there:
        (watch,) = [each for each in there.gateway.watches if each.name == "gateways"]
        assert await limit(there) == "60", "none is known: divided by VOXFLEET_REPLICAS, which is 1"
        watch.receiver.replaced([slice_("g1", "g2", "g3")])
        assert await limit(there) == "20"
        watch.receiver.changed(slice_("g1", "g2"))
        assert await limit(there) == "30"


async def test_audio_is_charged_by_the_text_and_settled_by_what_was_sent(wire: Any, keyed: Any) -> None:
    text = "x" * 100  # 7.5 s
    async with keyed(wire.speaking(PCM), limits={"audioSecondsPerMinute": 10}) as there:
        for _ in range(3):  # each leaves 1 s
            assert await there.speak(text=text, response_format="pcm") == PCM
        with pytest.raises(openai.RateLimitError, match="some 8 s") as refused:
            await there.speak(text=text, response_format="pcm")
        with pytest.raises(openai.RateLimitError) as too_large:
            await there.speak(text="x" * 1000)
    headers = refused.value.response.headers
    assert headers["x-ratelimit-limit-audio-seconds"] == "10"
    assert headers["x-ratelimit-remaining-audio-seconds"] == "7"
    assert 50 < int(headers["Retry-After"]) <= 62
    assert too_large.value.response.headers["x-should-retry"] == "false"
    assert "Retry-After" not in too_large.value.response.headers
    assert [(line["status"], line["audio_seconds"], line["audio_seconds_source"]) for line in there.lines] == [
        (200, 1.0, "bytes"), (200, 1.0, "bytes"), (200, 1.0, "bytes"), (429, 0.0, "bytes"), (429, 0.0, "bytes"),
    ]  # fmt: skip


async def test_beyond_the_wake_budget_only_regions_that_are_awake_serve(wire: Any, keyed: Any) -> None:
    async with keyed(limits={"wakesPerHour": 1}) as there:
        waking, _ = await wire.send(there.port, wire.post(extra=b"Authorization: Bearer all\r\nPrefer: wait=0\r\n"))
        again, _ = await wire.send(there.port, wire.post(extra=b"Authorization: Bearer all\r\nPrefer: wait=0\r\n"))
        assert [int(each.split()[1]) for each in (waking, again)] == [503, 503], "the second wake is the first one"
        there.gateway.fleet.regions[wire.key].traffic.waking_since_seconds = None
        for path in (b"/v1/audio/speech", b"/v1/models/m/wake"):
            refused, _ = await wire.send(there.port, wire.post(path=path, extra=b"Authorization: Bearer all\r\n"))
            assert int(refused.split()[1]) == 429
            assert b"wake_budget_exceeded" in refused
            assert b"Retry-After: 36" in refused
            assert b"X-Should-Retry: false" in refused
        other, _ = await wire.send(there.port, wire.post(extra=b"Authorization: Bearer one\r\nPrefer: wait=0\r\n"))
        assert int(other.split()[1]) == 503, "another tenant's request wakes it"
    async with keyed(wire.speaking(PCM), limits={"wakesPerHour": 0}) as there:
        assert await there.speak() == PCM


EVENT = b'data: {"type": "speech.audio.delta", "audio": "%s"}\n\n' % (b"A" * 64_000)
DONE = b'data: {"type": "speech.audio.done", "usage": {}, "sentences": [{"until_seconds": 4.25}]}\n\n'
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"


async def until_lines(there: Any, count: int) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while len(there.lines) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert len(there.lines) == count
    return there.lines[-1]


async def test_the_usage_log_has_each_request_once_however_it_ends(wire: Any, keyed: Any) -> None:
    stream = EVENTS % len(EVENT + DONE) + EVENT + DONE
    cut = wire.ok + b"Content-Length: 96000\r\n\r\n" + PCM
    hang = asyncio.Event()

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = await reader.read(65536)
        writer.write(stream if b'"sse"' in body else cut)
        if b"hang" in body:
            await hang.wait()
        writer.close()

    auth = b"Authorization: Bearer one\r\nX-Request-Id: r-7\r\n"
    async with keyed(pod) as there:
        body = b'{"model":"m","input":"hi","stream_format":"sse"}'
        await wire.send(there.port, wire.post(body, extra=auth))
        line = await until_lines(there, 1)
        started = line.pop("started_at")
        assert started[:2] == "20"
        assert line == {
            "event": "usage", "request_id": "r-7", "tenant": "other", "key_id": "k-one", "model": "d/n", "region": "eu",
            "characters": 2, "audio_seconds": 4.25, "audio_seconds_source": "server", "status": 200,
            "truncated": False, "retries": 0,
        }  # fmt: skip
        body = b'{"model":"m","input":"hi","response_format":"pcm"}'
        await wire.send(there.port, wire.post(body, extra=auth))  # the pod breaks off after a second of two
        line = await until_lines(there, 2)
        assert (line["status"], line["truncated"], line["audio_seconds"]) == (200, True, 1.0)
        body = b'{"model":"m","input":"hang","response_format":"pcm"}'
        _, ending = await wire.send(there.port, wire.post(body, extra=auth), wait=1.0)  # the client leaves
        assert ending == "open"
        line = await until_lines(there, 3)
        assert (line["status"], line["audio_seconds"]) == (499, 1.0)
        hang.set()
        await wire.send(there.port, wire.post(b"{", extra=auth))
        line = await until_lines(there, 4)
        assert (line["status"], line["audio_seconds"], line["model"]) == (400, 0.0, "")
        await wire.send(there.port, wire.post())
    assert len(there.lines) == 4, "a request without a key is accounted to no tenant"


async def test_metrics_name_the_first_tenants_only(wire: Any, keyed: Any) -> None:
    async with keyed(wire.speaking(PCM)) as there:
        usage = there.gateway.speech.accounts.usage
        assert len({usage.label(f"tenant-{number}") for number in range(1000)}) == 51
        assert usage.label("tenant-7") == "tenant-7"
        assert usage.label("tenant-999") == "other"


async def test_the_curl_command_of_the_how_to(wire: Any, keyed: Any, tmp_path: Path) -> None:
    page = (Path(__file__).parents[4] / "docs" / "keys-and-tenants.md").read_text()
    (command,) = re.findall(r"```sh\n(curl .*?)```", page, re.DOTALL)
    async with keyed(wire.speaking(PCM)) as there:
        changed = command.replace("127.0.0.1:6006", f"127.0.0.1:{there.port}").replace('"narrator"', '"d/n"')
        process = await asyncio.create_subprocess_exec(
            "bash", "-ec", changed, cwd=tmp_path, env={**os.environ, "KEY": "one"}, stderr=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == 0
    assert (tmp_path / "hello.mp3").read_bytes() == PCM


async def test_the_usage_line_of_the_how_to_has_every_field(wire: Any, keyed: Any) -> None:
    page = (Path(__file__).parents[4] / "docs" / "keys-and-tenants.md").read_text()
    (line,) = re.findall(r"```json\n(\{\"event\": \"usage\".*?)```", page, re.DOTALL)
    async with keyed(wire.speaking(PCM)) as there:
        await there.speak()
        written = await until_lines(there, 1)
    assert {*json.loads(line)} == {*written}


async def test_an_open_gateway_needs_no_key_and_has_nothing_to_bill(wire: Any) -> None:
    lines: list[str] = []
    async with wire.gateway(wire.speaking(PCM)) as (port, gateway):
        gateway.speech.accounts.usage.write_line = lines.append
        answer, _ = await wire.send(port, wire.post(extra=b"Authorization: Bearer anything\r\n"))
    assert answer.startswith(b"HTTP/1.1 200")
    assert lines == []


async def test_a_key_says_that_its_client_waits_without_naming_a_time(wire: Any, keyed: Any) -> None:
    starting = {"state": "starting", "free_rows": 0}
    async with keyed(
        wire.speaking(PCM), report=starting, settings={"hold_seconds": 0.0}, rules={"hold_seconds": 60}
    ) as there:

        def post(key: str, extra: bytes = b"") -> Any:
            headers = b"Authorization: Bearer %s\r\n" % key.encode()
            return asyncio.create_task(wire.send(there.port, wire.post(extra=headers + extra), wait=60))

        waiting = post("waits")
        for refused in (post("all"), post("waits", b"Prefer: wait=0\r\n")):
            assert (await refused)[0].startswith(b"HTTP/1.1 503")
        async with asyncio.timeout(30):
            while there.gateway.dispatcher.hold_queues.held(wire.key) != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        wire.report(there.gateway, state="ready", free_rows=64)
        assert (await waiting)[0].endswith(PCM)
