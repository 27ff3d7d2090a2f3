"""Why a region's gateway is not reached, as `voxfleet route explain` shows it."""

from typing import Any

import aiohttp
from voxfleet_gateway.regions import ObjectRef, RegionEntry, RegionKey
from voxfleet_gateway.tokens import gateway_token


async def test_explaining_says_why_a_peer_is_not_used(regions: Any, wire: Any) -> None:
    eu, ports = await regions.open("eu", wire.speaking(), allowed_peer_domains="tts.example.com")
    urls = {
        "us": "https://us.example.org",
        "ap": "http://ap.tts.example.com",
        "sa": None,
        "af": f"https://127.0.0.1:{wire.free_port()}",
    }
    remote = [RegionEntry(name=name, gateway_url=url, local=False) for name, url in urls.items()]
    here = RegionEntry(name="eu", service=ObjectRef(namespace="d", name="eu"), local=False)
    eu.serve_model(here, *remote, ports=ports)
    peering = eu.gateway.peering
    await regions.until(lambda: peering.fault(RegionKey("d", "n", "af")))

    headers = {"Authorization": f"Bearer {gateway_token('eu')}"}
    url = eu.internal_address.internal_url("/internal/explain") + "?client=203.0.113.9&model=m"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        assert response.status == 200
        words = (await response.json())["words"]["regions"]
    verdicts = {each["region"]: each["verdict"] for each in words}
    assert verdicts["eu"] == "chosen: it serves now"
    refused = "not used: it is in another cluster, and its gatewayURL is refused: gatewayURL "
    assert verdicts["us"].startswith(refused + "'https://us.example.org': 'us.example.org' lies in none of the allowed")
    assert verdicts["us"].endswith("tts.example.com (--allowed-peer-domains, in the chart allowedPeerDomains)")
    assert verdicts["ap"] == refused + "'http://ap.tts.example.com' must be https://HOST or https://HOST:PORT"
    assert verdicts["sa"].endswith("or one that the operator refuses (condition GatewayURLForbidden)")
    assert verdicts["af"].startswith("not used: its gateway does not report, or the last report is too old: connect: ")


async def test_an_address_that_may_be_no_peers_is_named(regions: Any, wire: Any) -> None:
    eu, ports = await regions.open("eu", wire.speaking(), allowed_peer_networks="", allowed_peer_domains="localhost")
    here = RegionEntry(name="eu", service=ObjectRef(namespace="d", name="eu"), local=False)
    eu.serve_model(here, RegionEntry(name="us", gateway_url="https://localhost:6007", local=False), ports=ports)
    us, peering = RegionKey("d", "n", "us"), eu.gateway.peering
    await regions.until(lambda: peering.fault(us))
    assert peering.fault(us).startswith("address: ")
    assert "is no peer's address: " in peering.fault(us)
    assert peering.fault(eu.key) == ""
