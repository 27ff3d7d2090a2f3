"""Requests through Traefik to a real gateway: streamed, held, by WebSocket, from their client's own address."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import yaml
from voxfleet_testbed.settings import REPOSITORY

# conftest.Site and Pod: pytest loads test folders without packages, so nothing can be imported from it by name.
Site = Any

INGRESS_HOST, ROUTE_HOST, NGINX_HOST = "tts.example.com", "api.tts.example.com", "nginx.tts.example.com"
HOSTS = (INGRESS_HOST, ROUTE_HOST, NGINX_HOST)
# Longer than the 1000 bytes that Traefik's provider for ingress-nginx takes here without our annotation.
BODY = {"model": "narrator", "input": "Hello. " * 200, "response_format": "wav"}
BERLINER, AMERICAN = "127.0.5.1", "127.0.6.1"  # by the location database of this site
READ_TIMEOUT_SECONDS = 1  # of the entry point `short`
APPS, INFRA, SYSTEM = "ways-apps", "ways-infra", "ways-system"


def until_condition(site: Site, kind: str, reason: str) -> dict[str, Any]:
    """Wait for a condition of the resource, in the operator's words."""
    for _ in range(900):
        if (found := site.condition(kind)).get("reason") == reason:
            return dict(found)
        time.sleep(0.1)
    pytest.fail(f"{kind} is {site.condition(kind)}, not {reason}\n{site.logs()}")


def admit(site: Site, label: str | None) -> None:
    """Label the resource's namespace, or take the label away."""
    body = {"metadata": {"labels": {"ways-in": label}}}
    site.api.request("PATCH", f"/api/v1/namespaces/{APPS}", body, "application/merge-patch+json")


async def test_a_gateway_refuses_the_namespace_in_its_own_words_until_it_admits_it(site: Site) -> None:
    admit(site, None)
    refused = await asyncio.to_thread(until_condition, site, "Degraded", "RouteRefused")
    assert f"spec.route: Gateway {INFRA}/public: NotAllowedByListeners" in refused["message"]
    admit(site, "public")
    await asyncio.to_thread(until_condition, site, "Degraded", "AsExpected")
    await site.until_answered(*HOSTS)


@pytest.mark.parametrize("host", HOSTS)
async def test_no_host_with_a_certificate_is_served_in_the_clear(site: Site, host: str) -> None:
    admit(site, "public")
    await site.until_answered(host)
    url = site.url(host, "/v1/models", "web").replace("https", "http")
    async with site.session() as session, session.get(url, allow_redirects=False) as answer:
        assert answer.status in {308, 404}, await answer.text()


@pytest.mark.parametrize("host", HOSTS)
async def test_audio_arrives_as_it_is_made(site: Site, new_pod: Any, host: str) -> None:
    admit(site, "public")
    await site.until_answered(host)
    pod = await new_pod(may_go_on=False)
    async with site.session() as session, session.post(site.url(host), json=BODY) as answer:
        assert answer.status == 200, await answer.text()
        assert await answer.content.readexactly(4) == b"RIFF"  # before the pod makes the rest
        pod.may_go_on.set()
        assert await answer.read() == b"eu-central"


async def test_requests_are_held_for_longer_than_a_request_may_take_to_arrive(site: Site, new_pod: Any) -> None:
    admit(site, "public")
    await site.until_answered(*HOSTS)
    async with site.session() as session:
        urls = [site.url(host, entry_point="short") for host in HOSTS]
        asked = [asyncio.ensure_future(session.post(url, json=BODY)) for url in urls]
        await asyncio.sleep(2.5 * READ_TIMEOUT_SECONDS)  # that nothing ends them is no event
        assert not [each for each in asked if each.done()]
        pod = await new_pod(may_go_on=False)
        answers = await asyncio.gather(*asked)
        assert [await answer.content.readexactly(4) for answer in answers] == [b"RIFF"] * len(HOSTS)
        await asyncio.sleep(2.5 * READ_TIMEOUT_SECONDS)
        pod.may_go_on.set()
        assert [await answer.read() for answer in answers] == [b"eu-central"] * len(HOSTS)


async def test_the_time_limit_is_one_for_a_request_to_arrive(site: Site, new_pod: Any) -> None:
    admit(site, "public")
    await site.until_answered(INGRESS_HOST)
    await new_pod()
    text = json.dumps(BODY).encode()

    async def slowly() -> AsyncIterator[bytes]:
        yield text[:10]
        await asyncio.sleep(2.5 * READ_TIMEOUT_SECONDS)
        yield text[10:]

    headers = {"Content-Type": "application/json", "Content-Length": str(len(text))}
    async with site.session() as session:
        async with session.post(site.url(INGRESS_HOST), data=slowly(), headers=headers) as answer:
            assert (answer.status, await answer.read()) == (200, b"RIFFeu-central")
        with contextlib.suppress(aiohttp.ClientError):  # it may close the connection while the rest is sent
            url = site.url(INGRESS_HOST, entry_point="short")
            async with session.post(url, data=slowly(), headers=headers) as answer:
                assert answer.status in {499, 504}  # the client left or was too slow, by which Traefik notices first


async def test_sessions_pass_by_websocket_however_silent_they_are(site: Site, new_pod: Any) -> None:
    admit(site, "public")
    await site.until_answered(*HOSTS)
    pod = await new_pod(may_go_on=False)
    async with site.session() as session, contextlib.AsyncExitStack() as stack:
        sockets = []
        for host in HOSTS:
            url = site.url(host, "/v1/audio/speech/stream", "short").replace("https", "wss")
            origin = f"https://{host}:{site.ports['short']}"  # as the gateway's own page has it in a browser
            sockets.append(await stack.enter_async_context(session.ws_connect(url, origin=origin)))
            await sockets[-1].send_json({"type": "session.start", **BODY})
        for socket in sockets:
            assert (await socket.receive_json())["type"] == "session.started"
            assert await socket.receive_bytes() == b"RIFF"
        await asyncio.sleep(2.5 * READ_TIMEOUT_SECONDS)
        pod.may_go_on.set()
        for socket in sockets:
            assert await socket.receive_bytes() == b"eu-central"
            assert (await socket.receive_json())["type"] == "session.done"


@pytest.mark.parametrize("host", HOSTS)
async def test_a_page_of_another_site_opens_no_session(site: Site, host: str) -> None:
    admit(site, "public")
    await site.until_answered(host)
    url = site.url(host, "/v1/audio/speech/stream").replace("https", "wss")
    async with site.session() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(url, origin="https://elsewhere.example.org")
        assert refused.value.status == 403


@pytest.mark.parametrize("host", HOSTS)
async def test_the_gateway_knows_the_client_by_traefik_and_no_client_says_another_address(
    site: Site, new_pod: Any, host: str
) -> None:
    admit(site, "public")
    await site.until_answered(host)
    for region in ("eu-central", "us-east"):
        await new_pod(region)
    served = {}
    for client, said in ((BERLINER, AMERICAN), (AMERICAN, BERLINER)):
        headers = {"X-Forwarded-For": said, "Forwarded": f"for={said}"}
        async with site.session(client) as session:
            served[client] = await spoken(session, site.url(host), headers)
    assert served == {BERLINER: ("eu-central", "nearest"), AMERICAN: ("us-east", "nearest")}


async def spoken(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> tuple[str, str]:
    """Speak until neither region is waking any more, which takes the gateway some polls."""
    async with asyncio.timeout(60):
        while True:
            async with session.post(url, json=BODY, headers=headers) as answer:
                text, route = await answer.text(), answer.headers.get("Voxfleet-Route", "")
                if route == "nearest":
                    return text.removeprefix("RIFF"), route
                assert answer.status == 200, text
            await asyncio.sleep(0.1)


async def test_http2_clients_stream_as_well(site: Site, new_pod: Any) -> None:
    admit(site, "public")
    await site.until_answered(INGRESS_HOST)
    pod = await new_pod(may_go_on=False)
    authority = site.folder / "authority.pem"
    authority.write_bytes(site.authority.pem())
    port = site.ports["short"]
    curl = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--show-error", "--no-buffer", "--http2", "--cacert", str(authority)),
        *("--resolve", f"{INGRESS_HOST}:{port}:127.0.0.1", "--json", json.dumps(BODY)),
        *("--write-out", " HTTP/%{http_version} %{http_code}", site.url(INGRESS_HOST, entry_point="short")),
        stdout=asyncio.subprocess.PIPE,
    )
    assert curl.stdout is not None
    assert await curl.stdout.readexactly(4) == b"RIFF"
    await asyncio.sleep(1.5 * READ_TIMEOUT_SECONDS)
    pod.may_go_on.set()
    assert await curl.stdout.read() == b"eu-central HTTP/2 200"
    assert await curl.wait() == 0


def documented(kind: str) -> dict[str, Any]:
    """Return the object of a kind that docs/ways-in.md shows, in this site's namespace."""
    blocks = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "docs" / "ways-in.md").read_text(), re.DOTALL)
    body = next(found for found in map(yaml.safe_load, blocks) if found.get("kind") == kind)
    return dict(body | {"metadata": body["metadata"] | {"namespace": SYSTEM}})


def trust_gateways(site: Site) -> dict[str, str]:
    """Apply what the page shows for gateways with a certificate; returns the annotations of their Service."""
    transport, policy = documented("ServersTransport"), documented("BackendTLSPolicy")
    authority = {"name": transport["spec"]["rootCAs"][0]["configMap"], "namespace": SYSTEM}
    bundle = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": authority}
    site.apply(f"/api/v1/namespaces/{SYSTEM}/configmaps", bundle | {"data": {"ca.crt": site.authority.pem().decode()}})
    site.apply(f"/apis/traefik.io/v1alpha1/namespaces/{SYSTEM}/serverstransports", transport)
    site.apply(f"/apis/gateway.networking.k8s.io/v1/namespaces/{SYSTEM}/backendtlspolicies", policy)
    name = f"{SYSTEM}-{transport['metadata']['name']}@kubernetescrd"
    return {"traefik.ingress.kubernetes.io/service.serverstransport": name}


async def test_gateways_with_a_certificate_are_verified_at_each_way_in(site: Site, new_pod: Any) -> None:
    admit(site, "public")
    secret = "voxfleet-tls"
    certificate, key = site.put_tls_secret(SYSTEM, secret, documented("ServersTransport")["spec"]["serverName"])
    annotations = await asyncio.to_thread(trust_gateways, site)
    values = {"gateway": {"tls": {"secretName": secret}, "service": {"annotations": annotations}}}
    await asyncio.to_thread(site.put_gateway_service, values)
    await asyncio.to_thread(site.restart_with_tls, certificate, key)
    await site.until_answered(*HOSTS)
    await new_pod()
    async with site.session() as session:
        for host in HOSTS:
            async with session.post(site.url(host), json=BODY) as answer:
                assert (answer.status, await answer.read()) == (200, b"RIFFeu-central"), host
