"""A WebRTC offer that another region serves: the answer comes back, and a DELETE takes the same way."""

from typing import Any

import aiohttp
from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodEndpoint

FULL = {"report": {"free_rows": 0, "running_sequences": 64, "waiting_sequences": 500}}
PATH = "/v1/audio/speech/rtc"
OFFER = {"type": "offer", "sdp": "v=0", "messages": [{"type": "session.start", "model": "m", "input": "Good morning."}]}


async def test_an_offer_and_its_delete_reach_the_pod_of_a_peer(regions: Any, wire: Any, rtc_pod: Any) -> None:
    pod, pod_port = await regions.stack.enter_async_context(rtc_pod(201))
    eu, us = await regions.pair([wire.speaking()], [], eu=FULL)
    us.gateway.fleet.pods_behind = lambda _: (PodEndpoint(PodAddress("127.0.0.1", pod_port, 9), is_ready=True),)
    us.gateway.fleet.refresh()
    await regions.until(lambda: eu.state("us").report.ready_pods)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{eu.port}") as session:
        async with session.post(PATH, json=OFFER) as answer:
            assert (answer.status, answer.headers["Location"]) == (201, PATH + "/s1")
            assert answer.headers["Voxfleet-Region"] == "us"
        async with session.delete(PATH + "/s1") as ended:
            assert ended.status == 204
    assert pod.offers == [OFFER]
    assert pod.deleted == ["s1"]
