"""Two gateway processes of one region: what one holds when it is terminated, the other one serves."""

import asyncio
from typing import Any

import aiohttp
import pytest

HELD = 50
SERVICE = "voxfleet-gateway"


def put_gateways(stage: Any, address: str, gateways: dict[str, Any]) -> None:
    """One slice per gateway, since ports belong to slices, as Kubernetes makes them for the gateways' Service."""
    for name, gateway in gateways.items():
        stage.api.apply(
            f"/apis/discovery.k8s.io/v1/namespaces/{stage.system}/endpointslices/{name}",
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": name, "namespace": stage.system, "labels": {"kubernetes.io/service-name": SERVICE},
                },
                "addressType": "IPv4",
                "ports": [
                    {"name": "http", "port": gateway.ports["api"]},
                    {"name": "internal", "port": gateway.ports["internal"]},
                ],
                "endpoints": [{
                    "addresses": [address],
                    "conditions": {"ready": True},
                    "targetRef": {"kind": "Pod", "name": name, "namespace": stage.system},
                }],
            },
        )  # fmt: skip


@pytest.mark.parametrize("events", [False, True], ids=["body", "events"])
async def test_a_gateway_that_ends_loses_none_of_the_requests_that_it_holds(
    stage: Any,
    new_pod: Any,
    start_gateway: Any,
    speak: Any,
    events: bool,  # noqa: FBT001
) -> None:
    stage.put_lease("eu-central")
    stage.put_model([stage.region("eu-central")])
    pod = await new_pod(state="loading", chunks=[b"data: {}\n\n", b"data: [DONE]\n\n"] if events else [b"RIFF", b"end"])
    stage.put_pods("eu-central", pod)
    started = {
        name: await start_gateway(
            VOXFLEET_POD_NAME=name,
            VOXFLEET_HOST="",
            VOXFLEET_GATEWAY_SERVICE=SERVICE,
            VOXFLEET_DRAIN_SECONDS="90",
            VOXFLEET_DRAIN_GRACE_SECONDS="0.5",
        )
        for name in ("gateway-old", "gateway-new")
    }
    put_gateways(stage, pod.address, started)
    old, new = started.values()
    fields = {"stream_format": "sse"} if events else {}
    asked = [asyncio.create_task(speak(old, {"Prefer": "wait=80"}, **fields)) for _ in range(HELD)]

    async def held(gateway: Any) -> int:
        return int(await metric(gateway, "voxfleet_gateway_held_requests"))

    async with asyncio.timeout(60):
        while await held(old) < HELD:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        old.terminate()
        while await held(new) < HELD:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert await held(old) == 0
    assert old.process.poll() is None, "its clients are connected to it"
    pod.state = "ready"
    answers = await asyncio.gather(*asked)
    assert {answer.status for answer in answers} == {200}
    assert all(answer.body.endswith(b"".join(pod.chunks)) for answer in answers)
    assert len(pod.served) == HELD, "each was spoken once"
    assert await asyncio.to_thread(old.process.wait, 60) == 0
    assert sum(line["path"] == "/internal/handover" for line in new.records()) == HELD


async def metric(gateway: Any, name: str) -> float:
    """The sum of a metric's samples."""
    async with aiohttp.ClientSession() as session, session.get(gateway.url("/metrics", "metrics")) as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))
