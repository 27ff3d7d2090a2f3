"""Requests through Traefik to a real gateway: streamed, held, by WebSocket, from their client's own address.

Traefik leads there by the Ingresses and the HTTPRoute that the operator makes.
"""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.nodeless.clients import nearest_region
from voxfleet_testbed.nodeless.documented import documented, trust_gateways
from voxfleet_testbed.nodeless.site import CRD, Site
from voxfleet_testbed.nodeless.site_objects import GATEWAY_SECRET, resource, route
from voxfleet_testbed.nodeless.site_settings import AMERICAN, APPS, BERLINER, INFRA, SYSTEM, operator_settings
from voxfleet_testbed.programs.environments import python_environment
from voxfleet_testbed.settings import Settings

INGRESS_HOST, ROUTE_HOST, NGINX_HOST = "tts.example.com", "api.tts.example.com", "nginx.tts.example.com"
HOSTS = (INGRESS_HOST, ROUTE_HOST, NGINX_HOST)
ENCRYPTED = ("websecure", "short")  # entry points with TLS; with `web`, which has none, sections of the Gateway too
CLASSES = {"traefik": "traefik.io/ingress-controller", "nginx": "k8s.io/ingress-nginx"}
# Longer than the 1000 bytes that Traefik's provider for ingress-nginx takes here without our annotation.
BODY = {"model": "narrator", "input": "Hello. " * 200, "response_format": "wav"}
# Of the entry point `short`: far below the default of 60 s, so that a request can outlast it here.
READ_TIMEOUT_SECONDS = 1
# Of the provider that reads annotations of ingress-nginx: with these defaults nothing streams without ours.
NGINX_DEFAULTS = {"proxyreadtimeout": "1", "proxysendtimeout": "1", "proxybuffering": "true"}
NGINX_DEFAULTS |= {"proxyrequestbuffering": "true", "proxybodysize": "1000"}
TRAEFIK_FLAGS = (
    "--providers.kubernetesingress",
    "--providers.kubernetesgateway",
    "--providers.kubernetescrd",
    *(f"--providers.kubernetesingressnginx.{name}={value}" for name, value in NGINX_DEFAULTS.items()),
    f"--entrypoints.short.transport.respondingtimeouts.readtimeout={READ_TIMEOUT_SECONDS}s",
    *("--global.checknewversion=false", "--global.sendanonymoususage=false", "--log.level=INFO"),
)
LOCK = Path(__file__).parent / "requirements" / "traefik.txt"
# The definitions of what Traefik watches lie in its published module.
MODULE, MODULE_SUM = "github.com/traefik/traefik/v3@v3.7.13", "h1:T8wy9KuaFzCkmXCqAzDy7t73pBDR1DHrJe3pqXpNXTw="
DEFINITIONS = ("gateway-api-conformance/00-experimental-v1.6.1.yml", "k8s/01-traefik-crd.yml")
WATCHED = ("gatewayclasses.", "gateways.", "httproutes.", "grpcroutes.", "tlsroutes.", "referencegrants.")
WATCHED += ("backendtlspolicies.", "traefik.io")


@pytest.fixture(scope="module")
def site(new_site: Callable[..., Site], testbed_settings: Settings) -> Site:
    ports = dict(zip((*ENCRYPTED, "web"), ports_for_later(3), strict=True))
    site = new_site(ports, ports, ENCRYPTED)
    site.apply_definitions([CRD, *published_definitions(site.folder)], ("voxfleet.dev", *WATCHED))
    for name, controller in CLASSES.items():
        body = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name}}
        site.apply("/apis/networking.k8s.io/v1/ingressclasses", body | {"spec": {"controller": controller}})
    site.publish("traefik", "traefik.io/gateway-controller", resources())
    site.put_tls_secret(SYSTEM, "ingress-tls", INGRESS_HOST, NGINX_HOST)
    site.put_tls_secret(INFRA, GATEWAY_SECRET, ROUTE_HOST)
    site.put_gateway_service({"gateway": {"regions": [{"name": "eu-central"}]}})
    site.start_part("operator", operator_settings())
    entry_points = [f"--entrypoints.{name}.address=127.0.0.1:{port}" for name, port in ports.items()]
    traefik = Path(python_environment(testbed_settings.cache, LOCK)).with_name("traefik")
    site.start("traefik", [str(traefik), *entry_points, *TRAEFIK_FLAGS])
    site.start_gateway()
    return site


def published_definitions(folder: Path) -> list[Path]:
    download = ["go", "mod", "download", "-json", MODULE]
    module = json.loads(subprocess.run(download, cwd=folder, capture_output=True, check=True).stdout)
    assert module["Sum"] == MODULE_SUM
    return [Path(module["Dir"]) / "integration" / "fixtures" / name for name in DEFINITIONS]


def resources() -> tuple[dict[str, Any], dict[str, Any]]:
    """A resource names one host; all models answer there."""
    ingress = {"host": INGRESS_HOST, "className": "traefik", "tlsSecretName": "ingress-tls"}
    first = resource(ingress=ingress, route=route(ENCRYPTED, ROUTE_HOST))
    second = resource(ingress=ingress | {"host": NGINX_HOST, "className": "nginx"})
    second["spec"]["regions"] = [{"name": "eu-central"}]
    return first, second | {"metadata": {"name": "second", "namespace": APPS}}


async def test_a_gateway_refuses_the_namespace_in_its_own_words_until_it_admits_it(site: Site) -> None:
    site.admit(None)
    refused = await site.until_condition("Degraded", "RouteRefused")
    assert f"spec.route: Gateway {INFRA}/public: NotAllowedByListeners" in refused["message"]
    site.admit("public")
    await site.until_condition("Degraded", "AsExpected")
    await site.until_answered(*HOSTS)


@pytest.mark.parametrize("host", HOSTS)
async def test_no_host_with_a_certificate_is_served_in_the_clear(site: Site, host: str) -> None:
    site.admit("public")
    await site.until_answered(host)
    url = site.url(host, "/v1/models", "web").replace("https", "http")
    async with site.session() as session, session.get(url, allow_redirects=False) as answer:
        assert answer.status in {308, 404}, await answer.text()


@pytest.mark.parametrize("host", HOSTS)
async def test_audio_arrives_as_it_is_made(site: Site, new_pod: Any, host: str) -> None:
    site.admit("public")
    await site.until_answered(host)
    pod = await new_pod(may_go_on=False)
    async with site.session() as session, session.post(site.url(host), json=BODY) as answer:
        assert answer.status == 200, await answer.text()
        assert await answer.content.readexactly(4) == b"RIFF"  # before the pod makes the rest
        pod.may_go_on.set()
        assert await answer.read() == b"eu-central"


async def test_requests_are_held_for_longer_than_a_request_may_take_to_arrive(site: Site, new_pod: Any) -> None:
    site.admit("public")
    await site.until_answered(*HOSTS)
    async with site.session() as session:
        urls = [site.url(host, section="short") for host in HOSTS]
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
    site.admit("public")
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
            url = site.url(INGRESS_HOST, section="short")
            async with session.post(url, data=slowly(), headers=headers) as answer:
                assert answer.status in {499, 504}  # the client left or was too slow, by which Traefik notices first


async def test_sessions_pass_by_websocket_however_silent_they_are(site: Site, new_pod: Any) -> None:
    site.admit("public")
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
    site.admit("public")
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
    site.admit("public")
    await site.until_answered(host)
    for region in ("eu-central", "us-east"):
        await new_pod(region)
    served = {}
    for client, said in ((BERLINER, AMERICAN), (AMERICAN, BERLINER)):
        headers = {"X-Forwarded-For": said, "Forwarded": f"for={said}"}
        async with site.session(client) as session:
            served[client] = await nearest_region(session, site.url(host), BODY, headers)
    assert served == {BERLINER: "RIFFeu-central", AMERICAN: "RIFFus-east"}


async def test_http2_clients_stream_as_well(site: Site, new_pod: Any) -> None:
    site.admit("public")
    await site.until_answered(INGRESS_HOST)
    pod = await new_pod(may_go_on=False)
    authority = site.folder / "authority.pem"
    authority.write_bytes(site.authority.pem())
    port = site.ports["short"]
    curl = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--show-error", "--no-buffer", "--http2", "--cacert", str(authority)),
        *("--resolve", f"{INGRESS_HOST}:{port}:127.0.0.1", "--json", json.dumps(BODY)),
        *("--write-out", " HTTP/%{http_version} %{http_code}", site.url(INGRESS_HOST, section="short")),
        stdout=asyncio.subprocess.PIPE,
    )
    assert curl.stdout is not None
    assert await curl.stdout.readexactly(4) == b"RIFF"
    await asyncio.sleep(1.5 * READ_TIMEOUT_SECONDS)
    pod.may_go_on.set()
    assert await curl.stdout.read() == b"eu-central HTTP/2 200"
    assert await curl.wait() == 0


def put_servers_transport(site: Site) -> dict[str, str]:
    """Apply the page's ServersTransport; returns the annotations by which a Service names it."""
    transport = documented("ServersTransport")
    site.apply(f"/apis/traefik.io/v1alpha1/namespaces/{SYSTEM}/serverstransports", transport)
    name = f"{SYSTEM}-{transport['metadata']['name']}@kubernetescrd"
    return {"traefik.ingress.kubernetes.io/service.serverstransport": name}


async def test_gateways_with_a_certificate_are_verified_at_each_way_in(site: Site, new_pod: Any) -> None:
    site.admit("public")
    secret = "voxfleet-tls"
    certificate, key = site.put_tls_secret(SYSTEM, secret, documented("ServersTransport")["spec"]["serverName"])
    await asyncio.to_thread(trust_gateways, site, "v1")
    annotations = await asyncio.to_thread(put_servers_transport, site)
    values = {"gateway": {"tls": {"secretName": secret}, "service": {"annotations": annotations}}}
    await asyncio.to_thread(site.put_gateway_service, values)
    await asyncio.to_thread(site.restart_with_tls, certificate, key)
    await site.until_answered(*HOSTS)
    await new_pod()
    async with site.session() as session:
        for host in HOSTS:
            async with session.post(site.url(host), json=BODY) as answer:
                assert (answer.status, await answer.read()) == (200, b"RIFFeu-central"), host
