"""Drain requests to a real HTTP server, and to addresses that do not answer."""

import hashlib

import pytest
from aiohttp import web
from voxfleet_operator.cluster.writing.pod_drainer import PAUSE_AFTER_FAILURE_SECONDS, PodDrainer, url_host
from voxfleet_operator.manifests.pods.containers import internal_token_sha256
from voxfleet_operator.resources import Key

NARRATOR = Key("default", "narrator")


async def serve(answer: int) -> tuple[web.AppRunner, int, list[tuple[str, str]]]:
    received: list[tuple[str, str]] = []

    async def drain(request: web.Request) -> web.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        received.append((request.method, hashlib.sha256(token.encode()).hexdigest()))
        return web.Response(status=answer)

    application = web.Application()
    application.router.add_route("*", "/internal/drain", drain)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, runner.addresses[0][1], received


async def test_a_drain_is_a_post_and_its_end_a_delete_with_the_token_that_pods_check() -> None:
    runner, port, received = await serve(200)
    drainer = PodDrainer("the key", port)
    await drainer.drain(NARRATOR, "127.0.0.1", is_on=True)
    await drainer.drain(NARRATOR, "127.0.0.1", is_on=False)
    await runner.cleanup()
    digest = internal_token_sha256("the key", "default", "narrator")
    assert received == [("POST", digest), ("DELETE", digest)]


@pytest.mark.parametrize("answer", [401, 503])
async def test_a_server_that_refuses_is_asked_again_after_a_pause(answer: int) -> None:
    now = 1000.0
    runner, port, received = await serve(answer)
    drainer = PodDrainer("the key", port, clock=lambda: now)
    for _ in range(3):
        await drainer.drain(NARRATOR, "127.0.0.1", is_on=True)
    assert len(received) == 1
    now += PAUSE_AFTER_FAILURE_SECONDS
    await drainer.drain(NARRATOR, "127.0.0.1", is_on=True)
    await runner.cleanup()
    assert len(received) == 2


async def test_a_pod_without_an_address_is_not_asked() -> None:
    drainer = PodDrainer("the key")
    await drainer.drain(NARRATOR, "", is_on=True)
    assert drainer.failed_at == {}


def test_an_ipv6_address_is_bracketed() -> None:
    assert url_host("fd00::1") == "[fd00::1]"
    assert url_host("10.0.0.1") == "10.0.0.1"
