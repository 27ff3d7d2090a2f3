"""A voice drawn by a seed: made by a pod, kept by the gateways, one id everywhere."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from voxfleet_gateway.server.voices.designer import SAMPLE_TEXT
from voxfleet_gateway.tokens import voice_token
from voxfleet_gateway.voices.file_format import StoredVoice, VoiceHeader, serialize, voice_id
from voxfleet_inference.voices.remote_source import RemoteVoiceSource
from voxfleet_protocols.voice_upload import seed_of

VOICES = "/v1/audio/voices"
FOREVER = 2**40


async def test_a_designed_voice_is_drawn_by_a_pod_and_fetched_by_pods_as_any_other(nodes: Any, pod: Any) -> None:
    async with nodes(2) as (one, two):
        one.set_pods(pod.port)
        status, made = await one.design("a", transcript="I am seven.")
        assert (status, made["type"], made["status"], made["seed"]) == (200, "seed", "ready", 7)
        assert (made["model"], pod.engine.drawn) == ("d/n", [("I am seven.", 7)])
        assert (await two.send("GET", f"{VOICES}/{made['id']}", "a"))[1]["transcript"] == "I am seven."
        source = RemoteVoiceSource(f"http://127.0.0.1:{two.internal_port}", None)
        voice = await source.fetch(made["id"], voice_token("x", "a", FOREVER))
        assert voice is not None  # the server has read it: hash and shape are right
        assert (voice.metadata.seed, voice.latents.shape) == (7, (3, 4, 8))


async def test_the_same_design_is_the_same_voice_and_is_drawn_once(nodes: Any, pod: Any) -> None:
    async with nodes() as (node,):
        node.set_pods(pod.port)
        _, made = await node.design()
        node.set_pods()  # nothing is woken for what is there
        _, again = await node.design(name="other", transcript=SAMPLE_TEXT)
        assert (again["id"], again["name"], len(pod.engine.drawn)) == (made["id"], "other", 1)
        node.set_pods(pod.port)
        others = [await node.design(seed=8), await node.design(transcript="Other."), await node.design("another")]
        assert len({made["id"], *(body["id"] for _, body in others)}) == 4


async def test_a_prompt_gives_a_seed_and_says_that_it_is_not_followed(nodes: Any, pod: Any) -> None:
    async with nodes() as (node,):
        node.set_pods(pod.port)
        wanted = {"name": "Sage", "prompt": "A calm old man", "type": "prompt", "model": "auto", "script_hint": "I am."}
        status, made = await node.send("POST", VOICES, json=wanted)
        assert (status, made["type"], made["prompt"], made["prompt_followed"]) == (
            200,
            "prompt",
            wanted["prompt"],
            False,
        )
        assert pod.engine.drawn == [("I am.", seed_of("A calm old man"))]
        node.set_pods()
        assert (await node.send("POST", VOICES, json=wanted | {"name": "again"}))[1]["id"] == made["id"]
        assert (await node.send("GET", f"{VOICES}/{made['id']}"))[1]["prompt"] == "A calm old man"


async def test_it_is_made_after_a_wake(nodes: Any, pod: Any, until: Any) -> None:
    async with nodes() as (node,):
        asked = asyncio.create_task(node.design(headers={"Prefer": "wait=60"}))
        await until(lambda: any(node.gateway.hold_queues.queues.values()))
        region = next(iter(node.gateway.fleet.regions.values()))
        assert region.traffic.is_wake_requested
        node.set_pods(pod.port)
        assert (await asked)[0] == 200
        assert region.traffic.open_requests == 0
        assert not node.gateway.hold_queues.queues


async def test_without_a_pod_in_time_it_is_a_503_with_retry_after(nodes: Any) -> None:
    async with nodes(hold_seconds=0.1) as (node,):
        status, error = await node.design()
        assert (status, error["error"]["code"]) == (503, "region_waking")
        assert not node.repository.index.headers


async def test_limits_are_checked_before_anything_is_woken(nodes: Any) -> None:
    async with nodes(max_voices=0) as (node,):
        status, error = await node.design()
        assert (status, error["error"]["code"]) == (507, "voices_full")
        assert not any(region.traffic.is_wake_requested for region in node.gateway.fleet.regions.values())


async def test_the_pods_own_refusal_is_passed_on(nodes: Any, pod: Any) -> None:
    async with nodes() as (node,):
        node.set_pods(pod.port)
        status, error = await node.design(transcript="endless")
    assert (status, error["error"]["param"], error["error"]["code"]) == (400, "transcript", "too_long")
    assert "within 30 seconds" in error["error"]["message"]


async def test_the_model_is_named_where_there_are_several(nodes: Any, pod: Any) -> None:
    async with nodes() as (node,):
        node.set_pods(pod.port)
        registry = node.gateway.fleet.registry()
        (model,) = registry.entries.values()
        registry.put(model.model_copy(update={"name": "other", "model": "other", "regions": ()}))
        status, error = await node.design()
        assert (status, error["error"]["param"], error["error"]["code"]) == (400, "model", "missing")
        assert "d/n, d/other" in error["error"]["message"]
        assert (await node.design(model="m"))[0] == 200
        assert (await node.design(model="none"))[1]["error"]["code"] == "model_not_found"


def file_of(**fields: Any) -> bytes:
    payload, header = b"\0" * 96, {"seed": 7, "transcript": SAMPLE_TEXT, "latents_shape": (3, 4, 2)} | fields
    made = VoiceHeader(
        id=voice_id(payload, header["transcript"], "seed"), type="seed", payload_bytes=len(payload), **header
    )
    return serialize(StoredVoice(made, payload))


@pytest.mark.parametrize(
    ("response", "status", "code"),
    [
        (lambda: web.Response(body=file_of()), 200, None),
        (lambda: web.Response(body=file_of(seed=8)), 503, "upstream_failed"),
        (lambda: web.Response(body=file_of(transcript="Something else.")), 503, "upstream_failed"),
        (lambda: web.Response(body=file_of(latents_shape=(3, 4, 3))), 503, "upstream_failed"),
        (lambda: web.Response(body=file_of(latents_shape=None)), 503, "upstream_failed"),
        (lambda: web.Response(body=file_of()[:-1]), 503, "upstream_failed"),
        (lambda: web.Response(body=b"{}\n"), 503, "upstream_failed"),
        (lambda: web.Response(body=b"x" * (11 * 2**20)), 503, "upstream_failed"),
        (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), 503, "upstream_failed"),
        (lambda: web.Response(status=500), 503, "upstream_failed"),
        (lambda: web.Response(status=400, text="[" * 60_000), 400, "invalid_value"),
        (lambda: web.Response(status=400, text='{"error": {"message": "m", "code": "c"}}'), 400, "c"),
        (lambda: web.Response(status=405), 501, "voices_not_designed"),
        (lambda: web.Response(status=503, headers={"Retry-After": "1"}), 503, "region_full"),
    ],
)
async def test_whatever_a_pod_sends_is_a_voice_or_an_error(
    nodes: Any, response: Any, status: int, code: str | None
) -> None:
    async def answer(_: web.Request) -> web.Response:
        made: web.Response = response()
        return made

    app = web.Application()
    app.router.add_post("/internal/voices/design", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with nodes(hold_seconds=0.3) as (node,):
        node.set_pods(runner.addresses[0][1])
        given, body = await node.design()
        assert (given, body.get("error", {}).get("code")) == (status, code)
        assert len(node.repository.index.headers) == (1 if status == 200 else 0)
    await runner.cleanup()
