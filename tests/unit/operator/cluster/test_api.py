"""The client of the API server, without a server."""

import pytest
from aiohttp import web
from voxfleet_operator.cluster.api import KubernetesApi, KubernetesError, retry_after_seconds
from voxfleet_operator.cluster.endpoints import Endpoint


@pytest.mark.parametrize(("header", "seconds"), [("", 0), ("1", 1), ("30", 30), ("Wed, 21 Oct 2026 07:28:00 GMT", 0)])
def test_retry_after_is_read_in_seconds(header: str, seconds: float) -> None:
    assert retry_after_seconds(header) == seconds


async def unauthorized() -> dict[str, str]:
    return {}


async def test_every_request_is_counted_once_with_its_status() -> None:
    async def respond(request: web.Request) -> web.Response:
        return web.json_response({}, status=int(request.path.strip("/")))

    application, counted = web.Application(), []
    application.router.add_get("/{status}", respond)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    api = KubernetesApi(Endpoint(host, True, unauthorized), lambda *call: counted.append(call))
    await api.get("/200")
    for path in ("/429", "/404"):
        with pytest.raises(KubernetesError):
            await api.get(path)
    await runner.cleanup()
    with pytest.raises(KubernetesError):
        await api.get("/200")
    await api.close()
    assert counted == [("GET", 200), ("GET", 429), ("GET", 404), ("GET", 0)]
