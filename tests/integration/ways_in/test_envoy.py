"""Requests through an Envoy, which enforces time limits, to a real gateway, by the HTTPRoute that the operator makes.

Contour reads the Gateway API and configures the Envoy, which starts from the bootstrap that Contour writes for its own
pods. Routes that differ in `timeouts` alone show that the field is what counts.
"""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.nodeless.clients import nearest_region, status_of
from voxfleet_testbed.nodeless.documented import documented, trust_gateways
from voxfleet_testbed.nodeless.processes import WAIT_SECONDS, until
from voxfleet_testbed.nodeless.site import CRD, Site
from voxfleet_testbed.nodeless.site_objects import GATEWAY, GATEWAY_API, GATEWAY_SECRET, resource, route
from voxfleet_testbed.nodeless.site_settings import AMERICAN, APPS, BERLINER, INFRA, NAME, SYSTEM, operator_settings
from voxfleet_testbed.programs.environments import python_environment
from voxfleet_testbed.settings import Settings

CONTROLLER = "projectcontour.io/gateway-controller"
HOST = "tts.example.com"  # of the operator's route
# Of routes that are the operator's but for `timeouts`: one without the field, one with a short limit.
DEFAULT_HOST, SHORT_HOST = "default.example.com", "short.example.com"
ENVOY_DEFAULT_SECONDS, SHORT_SECONDS = 15, 2
CONTROLS: dict[str, dict[str, Any]] = {DEFAULT_HOST: {}, SHORT_HOST: {"timeouts": {"request": f"{SHORT_SECONDS}s"}}}
HOSTS = (HOST, DEFAULT_HOST, SHORT_HOST)
SECTION = "https"
PORT_OFFSET = 8000  # Contour has its Envoy listen at the Gateway's port and this, so that it needs no privilege
BODY = {"model": "narrator", "input": "Hello.", "response_format": "wav"}
LOCK = Path(__file__).parent / "requirements" / "envoy.txt"
# Contour reads these alone, of the version of the Gateway API that it publishes.
WATCHED = (
    "gatewayclasses.",
    "gateways.",
    "httproutes.",
    "referencegrants.",
    "backendtlspolicies.",
    "projectcontour.io",
)
DISABLED = ("grpcroutes", "tlsroutes", "tcproutes", "extensionservices")


@pytest.fixture(scope="module")
def site(new_site: Callable[..., Site], testbed_settings: Settings) -> Site:
    (port,) = ports_for_later(1)
    site = new_site({SECTION: port}, {SECTION: port - PORT_OFFSET}, [SECTION], ["contour"])
    definitions = (site.programs.asset("contour", name) for name in ("00-crds.yaml", "01-crds.yaml"))
    site.apply_definitions([CRD, *definitions], ("voxfleet.dev", *WATCHED))
    site.publish("contour", CONTROLLER, [resource(route=route([SECTION], HOST))])
    site.put_tls_secret(INFRA, GATEWAY_SECRET, *HOSTS)
    site.put_gateway_service({"gateway": {"regions": [{"name": "eu-central"}]}})
    site.admit("public")
    site.start_part("operator", operator_settings())
    start_contour(site, Path(python_environment(testbed_settings.cache, LOCK)).with_name("envoy"))
    site.start_gateway()
    until(lambda: made_route(site), "the operator makes its route", site.logs)
    put_controls(site)
    return site


def start_contour(site: Site, envoy: Path) -> None:
    """Start Contour, and the Envoy that it configures, without certificates between the two."""
    contour = str(site.programs.path("contour"))
    xds, stats, debug, health, metrics, admin = map(str, ports_for_later(6))
    # The Gateway that it serves; the port of a page that each of its Envoys has.
    reads = {"gateway": {"gatewayRef": {"name": GATEWAY, "namespace": INFRA}}, "network": {"admin-port": int(admin)}}
    config, bootstrap = site.folder / "contour.yaml", site.folder / "bootstrap.json"
    config.write_text(yaml.safe_dump(reads))
    listening = {"xds": xds, "stats": stats, "debug-http": debug, "health": health, "http": metrics}
    flags = [f"--{name}-address=127.0.0.1" for name in (*listening, "envoy-service-http", "envoy-service-https")]
    flags += [f"--{name}-port={port}" for name, port in listening.items()]
    flags += [f"--disable-feature={name}" for name in DISABLED]
    flags += ["--insecure", "--disable-leader-election", f"--kubeconfig={site.kubeconfig}", f"--config-path={config}"]
    site.start("contour", [contour, "serve", *flags])
    address = ["--xds-address=127.0.0.1", f"--xds-port={xds}", f"--admin-address={site.folder / 'admin.sock'}"]
    subprocess.run([contour, "bootstrap", str(bootstrap), *address], check=True)
    named = ["--service-cluster", INFRA, "--service-node", "envoy-0", "--concurrency", "2"]
    site.start("envoy", [str(envoy), "-c", str(bootstrap), *named, "--use-dynamic-base-id"])


def routes_path() -> str:
    return f"{GATEWAY_API}/namespaces/{APPS}/httproutes"


def made_route(site: Site) -> dict[str, Any]:
    return dict(site.api.get(f"{routes_path()}/{NAME}"))


def put_controls(site: Site) -> None:
    spec = made_route(site)["spec"]
    (rule,) = spec["rules"]
    for host, timeouts in CONTROLS.items():
        changed = {key: value for key, value in rule.items() if key != "timeouts"} | timeouts
        metadata = {"name": host.partition(".")[0], "namespace": APPS}
        body = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata}
        site.apply(routes_path(), body | {"spec": spec | {"hostnames": [host], "rules": [changed]}})


async def test_a_route_is_accepted_once_the_gateway_admits_its_namespace(site: Site) -> None:
    site.admit(None)
    refused = await site.until_condition("Degraded", "RouteRefused")
    assert f"spec.route: Gateway {INFRA}/{GATEWAY}: " in refused["message"]
    site.admit("public")
    await site.until_condition("Degraded", "AsExpected")
    await site.until_answered(*HOSTS)
    (parent,) = made_route(site)["status"]["parents"]
    assert parent["controllerName"] == CONTROLLER
    assert {each["type"]: each["status"] for each in parent["conditions"]} == {
        "Accepted": "True",
        "ResolvedRefs": "True",
    }


async def test_a_request_is_held_for_longer_than_envoys_limit(site: Site, new_pod: Any) -> None:
    await site.until_answered(*HOSTS)
    async with site.session() as session:
        headers, began = {"Prefer": "wait=80"}, time.monotonic()
        asked = {
            host: asyncio.ensure_future(session.post(site.url(host), json=BODY, headers=headers)) for host in HOSTS
        }
        for host, seconds in ((SHORT_HOST, SHORT_SECONDS), (DEFAULT_HOST, ENVOY_DEFAULT_SECONDS)):
            cut = await asked[host]
            assert (cut.status, await cut.text()) == (504, "upstream request timeout")
            assert time.monotonic() - began > seconds - 1
        assert not asked[HOST].done()
        await new_pod()
        answer = await asked[HOST]
        assert (answer.status, await answer.read()) == (200, b"RIFFeu-central")


async def test_audio_arrives_as_it_is_made_for_as_long_as_it_takes(site: Site, new_pod: Any) -> None:
    await site.until_answered(*HOSTS)
    pod = await new_pod(may_go_on=False)
    async with site.session() as session, contextlib.AsyncExitStack() as stack:
        answers = {}
        for host in (HOST, SHORT_HOST):
            answers[host] = await stack.enter_async_context(session.post(site.url(host), json=BODY))
            assert await answers[host].content.readexactly(4) == b"RIFF"  # before the pod makes the rest
        with pytest.raises(aiohttp.ClientPayloadError):
            await answers[SHORT_HOST].read()
        pod.may_go_on.set()
        assert await answers[HOST].read() == b"eu-central"


async def test_sessions_pass_by_websocket_however_silent_they_are(site: Site, new_pod: Any) -> None:
    await site.until_answered(*HOSTS)
    pod = await new_pod(may_go_on=False)
    async with site.session() as session, contextlib.AsyncExitStack() as stack:
        sockets = []
        for host in (HOST, SHORT_HOST):
            url = site.url(host, "/v1/audio/speech/stream").replace("https", "wss")
            origin = f"https://{host}:{site.ports[SECTION]}"  # as the gateway's own page has it in a browser
            sockets.append(await stack.enter_async_context(session.ws_connect(url, origin=origin)))
            await sockets[-1].send_json({"type": "session.start", **BODY})
            assert (await sockets[-1].receive_json())["type"] == "session.started"
            assert await sockets[-1].receive_bytes() == b"RIFF"
        async with session.post(site.url(SHORT_HOST), json=BODY) as answer:
            with pytest.raises(aiohttp.ClientPayloadError):  # when a request of the same age has reached its limit
                await answer.read()
        pod.may_go_on.set()
        for socket in sockets:  # an upgraded connection has none
            assert await socket.receive_bytes() == b"eu-central"
            assert (await socket.receive_json())["type"] == "session.done"


async def test_the_gateway_knows_the_client_by_envoy_and_no_client_says_another_address(
    site: Site, new_pod: Any
) -> None:
    await site.until_answered(HOST)
    for region in ("eu-central", "us-east"):
        await new_pod(region)
    served = {}
    for client, said in ((BERLINER, AMERICAN), (AMERICAN, BERLINER)):
        headers = {"X-Forwarded-For": said, "Forwarded": f"for={said}", "X-Envoy-External-Address": said}
        async with site.session(client) as session:
            served[client] = await nearest_region(session, site.url(HOST), BODY, headers)
    assert served == {BERLINER: "RIFFeu-central", AMERICAN: "RIFFus-east"}


async def test_a_gateway_with_a_certificate_is_verified(site: Site, new_pod: Any) -> None:
    named = documented("BackendTLSPolicy")["spec"]["validation"]["hostname"]
    certificate, key = site.put_tls_secret(SYSTEM, "voxfleet-tls", named)
    site.put_gateway_service({"gateway": {"tls": {"secretName": "voxfleet-tls"}}})
    site.end("gateway")
    await asyncio.to_thread(site.start_gateway, TLS_CERTIFICATE=str(certificate), TLS_KEY=str(key))
    await site.until_answered(HOST)  # unverified: Contour connects by TLS where the Service says so
    await asyncio.to_thread(trust_gateways, site, "v1alpha3", "another.example.com")
    seen = ""
    async with site.session() as session, asyncio.timeout(WAIT_SECONDS):
        while seen != "503":
            seen = await status_of(session, site.url(HOST, "/health/ready"))
            await asyncio.sleep(0.1)
    await asyncio.to_thread(trust_gateways, site, "v1alpha3")
    await site.until_answered(HOST)
    await new_pod()
    async with site.session() as session, session.post(site.url(HOST), json=BODY) as answer:
        assert (answer.status, await answer.read()) == (200, b"RIFFeu-central")
