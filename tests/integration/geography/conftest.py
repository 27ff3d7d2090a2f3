"""Two clusters, each with a region: the operator, a gateway process of each, servers that are small HTTP servers, DNS.

Real: both API servers, the operator in one of them, both gateways with certificates of one authority, PowerDNS with the
DNS engine. No kubelet runs: `Cluster.start_server` writes the EndpointSlice that a started pod would lead to.
"""

import asyncio
import base64
import contextlib
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from voxfleet_operator import names
from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.cluster.control_plane import ControlPlane
from voxfleet_testbed.dns.location_example import write_location_database
from voxfleet_testbed.dns.processes import DnsServers, running
from voxfleet_testbed.dns.queries import addresses, query, subnet
from voxfleet_testbed.errors import ApiError
from voxfleet_testbed.fixtures import own_address_or_skip, skipping
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.network.certificates import Authority, Identity, make_authority
from voxfleet_testbed.nodeless.processes import Process, start_part
from voxfleet_testbed.nodeless.stub_server import StubServer
from voxfleet_testbed.programs.packages import DNS_PACKAGE_OF, install_packages
from voxfleet_testbed.settings import REPOSITORY, Settings

KEY = "a key of two clusters"
VIRGINIA, SHANGHAI = "virginia", "shanghai"
PLACES = {VIRGINIA: ("39.04", "-77.49"), SHANGHAI: ("31.22", "121.46")}
PUBLIC = {VIRGINIA: "192.0.2.1", SHANGHAI: "192.0.2.2"}  # what DNS answers; the test connects to loopback instead
SYSTEM, DEMAND, APPS, NAME = "geo-system", "geo-demand", "geo-apps", "narrator"
ZONE = "tts.example.com"
WAIT_SECONDS = 120.0  # of a loaded machine; nothing waits for the whole of it
CRD = "crds/voxfleet.dev_voxttsdeployments.yaml"
CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/voxttsdeployments.voxfleet.dev"


@dataclass
class Server(StubServer):
    """A server of the region: its audio is the region's name; the test says how busy it reports to be."""

    namespace: str = APPS
    name: str = NAME
    internal_key: str = KEY

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/audio/speech", self._speak)

    async def _speak(self, _request: web.Request) -> web.Response:
        return web.Response(body=self.region.encode(), content_type="audio/wav")


@dataclass
class Cluster:
    """One cluster with one region of the resource."""

    region: str
    control_plane: ControlPlane
    server: Server

    @property
    def api(self) -> Api:
        return self.control_plane.api

    def set_up(self) -> None:
        for name in (SYSTEM, DEMAND, APPS):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self.api.apply(f"/api/v1/namespaces/{name}", body)
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        self.api.apply(f"/api/v1/namespaces/{APPS}/serviceaccounts/default", account)

    def replicas(self) -> int:
        """What the operator asks this cluster for."""
        workload = names.workload_name(NAME, self.region, names.POOL_ON_DEMAND)
        found = self.api.get(f"/apis/apps/v1/namespaces/{APPS}/deployments/{workload}")
        return int(found["spec"]["replicas"])

    def registry(self) -> dict[str, Any]:
        """What the gateways of this cluster read."""
        name = names.registry_name(APPS, NAME)
        found = self.api.get(f"/api/v1/namespaces/{SYSTEM}/configmaps/{name}")
        return dict(json.loads(found["data"]["model.json"]))

    def has_resource(self) -> bool:
        """Whether the operator has made this cluster's objects."""
        try:
            return self.replicas() == 0 and bool(self.registry())
        except ApiError:
            return False

    def _slice_path(self) -> str:
        return f"/apis/discovery.k8s.io/v1/namespaces/{APPS}/endpointslices/{NAME}-{self.region}"

    def start_server(self) -> None:
        """Be the kubelet: the region's pod is ready."""
        service = next(each for each in self.registry()["regions"] if each["name"] == self.region)["service"]["name"]
        http, internal = self.server.ports
        labels = {"kubernetes.io/service-name": service, names.LABEL_DEPLOYMENT: NAME}
        self.api.apply(
            self._slice_path(),
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": f"{NAME}-{self.region}", "namespace": APPS, "labels": labels},
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": http}, {"name": "internal", "port": internal}],
                "endpoints": [{"addresses": [self.server.address], "conditions": {"ready": True}}],
            },
        )


@dataclass
class World:
    """Everything that a client meets."""

    clusters: dict[str, Cluster]
    gateways: dict[str, Process]
    dns: DnsServers
    session: aiohttp.ClientSession
    operator: Process

    def port(self, region: str, name: str = "api") -> int:
        listening = [line for line in self.gateways[region].lines() if line.get("event") == "listening"]
        return int(listening[0]["ports"][name]) if listening else 0

    def is_listening(self, region: str) -> bool:
        return self.port(region) > 0

    def resolve(self, network: str) -> str:
        """The region that DNS sends a client of the network to, by its EDNS Client Subnet; empty: neither."""
        found = addresses(query(self.dns.port, f"{NAME}.{ZONE}.", "A", subnet(network)))
        return next((region for region, address in PUBLIC.items() if found == {address}), "")

    async def speak(self, region: str, client: str, hold_seconds: int = 15) -> tuple[str, str, str]:
        """Ask a region's gateway as a client behind a trusted proxy: the audio or the error, the region, the route."""
        url = f"http://127.0.0.1:{self.port(region)}/v1/audio/speech"
        body = {"model": NAME, "input": "Hello.", "response_format": "wav"}
        headers = {"X-Forwarded-For": client, "Prefer": f"wait={hold_seconds}"}
        async with self.session.post(url, json=body, headers=headers) as answer:
            text = (await answer.read()).decode(errors="replace")
            return text, answer.headers["Voxfleet-Region"], answer.headers["Voxfleet-Route"]

    async def fleet(self, region: str) -> dict[str, Any]:
        """What the fleet page of a region's gateway shows."""
        async with self.session.get(f"http://127.0.0.1:{self.port(region)}/v1/fleet") as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())

    @contextlib.asynccontextmanager
    async def fleet_events(self, region: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Follow the fleet page's stream: each event's rows, the first a snapshot."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=WAIT_SECONDS)
        url = f"http://127.0.0.1:{self.port(region)}/v1/fleet/events"

        async def rows(content: aiohttp.StreamReader) -> AsyncIterator[dict[str, Any]]:
            async for line in content:
                if line.startswith(b"data: "):
                    for row in json.loads(line.removeprefix(b"data: "))["regions"]:
                        yield row

        async with aiohttp.ClientSession(timeout=timeout, read_bufsize=2**20) as session, session.get(url) as answer:
            assert answer.status == 200, await answer.text()
            yield rows(answer.content)

    async def wake(self, region: str, other: str) -> tuple[int, dict[str, Any]]:
        """What the fleet page's button does at a region's gateway, for another region."""
        url = f"http://127.0.0.1:{self.port(region)}/v1/models/{APPS}/{NAME}/wake"
        async with self.session.post(url, json={"region": other}) as answer:
            return answer.status, dict(await answer.json())

    async def explain(self, region: str, client: str) -> dict[str, Any]:
        """What the gateway would decide about the client now, in words."""
        token = hmac.new(KEY.encode(), b"gateway", hashlib.sha256).hexdigest()
        url = f"http://127.0.0.1:{self.port(region, 'internal')}/internal/explain"
        query = {"client": client, "model": NAME}
        async with self.session.get(url, params=query, headers={"Authorization": f"Bearer {token}"}) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())


@pytest.fixture(scope="module")
def _dns_packages(testbed_settings: Settings) -> None:
    with skipping(testbed_settings):
        install_packages(table=DNS_PACKAGE_OF)


def issue(folder: Path, authority: Authority, region: str) -> Path:
    made = folder / f"peer-{region}"
    made.mkdir()
    pair = authority.issue(Identity(region, names=(region,)), dt.datetime.now(dt.UTC))
    for name, data in (("tls.crt", pair.certificate), ("tls.key", pair.key), ("ca.crt", authority.pem())):
        (made / name).write_bytes(data)
    return made


def operator_settings(control_plane: ControlPlane) -> dict[str, str]:
    health, metrics = ports_for_later(2)
    return {
        "KUBECONFIG": str(control_plane.kubeconfig),
        "SYSTEM_NAMESPACE": SYSTEM,
        "DEMAND_NAMESPACE": DEMAND,
        "INTERNAL_KEY": KEY,
        "INFERENCE_IMAGE": "localhost/voxfleet-inference:test",
        "HEALTH_HOST": "127.0.0.1",
        "HEALTH_PORT": str(health),
        "METRICS_PORT": str(metrics),
        # The second API server is on loopback, and gatewayURLs have this machine's address.
        "ALLOWED_PEER_NETWORKS": f"127.0.0.0/8,{own_address_or_skip()}/32",
        "LOAD_POLL_SECONDS": "0.5",
    }


def gateway_settings(cluster: Cluster, peers: Path, database: Path, peer_port: int) -> dict[str, str]:
    return {
        "REGION": cluster.region,
        "INTERNAL_KEY": KEY,
        "KUBECONFIG": str(cluster.control_plane.kubeconfig),
        "SYSTEM_NAMESPACE": SYSTEM,
        "DEMAND_NAMESPACE": DEMAND,
        "PORT": "0",
        "METRICS_PORT": "0",
        "INTERNAL_PORT": "0",
        "POD_NAME": f"gateway-{cluster.region}",
        "TRUSTED_PROXIES": "127.0.0.0/8",
        "OPERATE_WITHOUT_KEY": "true",
        "LOCATION_DATABASE": str(database),
        "PEER_TLS_FOLDER": str(peers),
        "PEER_PORT": str(peer_port),
        "PEER_POLL_SECONDS": "0.5",
        "ALLOWED_PEER_NETWORKS": f"{own_address_or_skip()}/32",
        "DRAIN_GRACE_SECONDS": "0.2",
    }


def resource(peer_ports: dict[str, int], secret: str) -> dict[str, Any]:
    regions: list[dict[str, Any]] = []
    for name, (latitude, longitude) in PLACES.items():
        url = f"https://{own_address_or_skip()}:{peer_ports[name]}"
        place = {"latitude": latitude, "longitude": longitude}
        regions.append({"name": name, "location": place, "gatewayURL": url})
    regions[1]["kubeConfigSecretRef"] = {"name": secret}
    return {
        "apiVersion": "voxfleet.dev/v1alpha1",
        "kind": "VoxTTSDeployment",
        "metadata": {"name": NAME, "namespace": APPS},
        "spec": {"regions": regions, "autoscaling": {"maxReplicas": 1, "idleTimeoutSeconds": 600}},
    }


def zone_file(folder: Path, peer_ports: dict[str, int]) -> Path:
    regions = [
        {
            "name": name,
            "addresses": [PUBLIC[name]],
            "location": {"latitude": float(latitude), "longitude": float(longitude)},
            "gatewayURL": f"https://{own_address_or_skip()}:{peer_ports[name]}",
        }
        for name, (latitude, longitude) in PLACES.items()
    ]
    zone = {"zone": ZONE, "nameServers": [{"name": "ns.example.net"}], "defaultRegion": VIRGINIA}
    path = folder / "zone.yaml"
    path.write_text(yaml.safe_dump(zone | {"regions": regions, "models": [{"name": NAME}]}))
    return path


def publish(home: Cluster, away: Cluster, peer_ports: dict[str, int]) -> None:
    """What an administrator does: the CRD, the second cluster's kubeconfig in a Secret, the resource."""
    definition = yaml.safe_load((REPOSITORY / CRD).read_text())
    home.api.apply(CRD_PATH, definition)
    resources = f"/apis/voxfleet.dev/v1alpha1/namespaces/{APPS}/voxttsdeployments"
    home.api.wait_for(resources, lambda _: True, WAIT_SECONDS)
    kubeconfig = base64.b64encode(away.control_plane.kubeconfig.read_bytes()).decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SHANGHAI}, "data": {"value": kubeconfig}}
    home.api.apply(f"/api/v1/namespaces/{APPS}/secrets/{SHANGHAI}", secret)
    home.api.apply(f"{resources}/{NAME}", resource(peer_ports, SHANGHAI))


@pytest.fixture
async def world(
    control_plane: ControlPlane, second_control_plane: ControlPlane, _dns_packages: None, tmp_path: Path
) -> AsyncIterator[World]:
    clusters = {
        VIRGINIA: Cluster(VIRGINIA, control_plane, Server(VIRGINIA)),
        SHANGHAI: Cluster(SHANGHAI, second_control_plane, Server(SHANGHAI)),
    }
    authority = make_authority("peers", dt.datetime.now(dt.UTC))
    database = write_location_database(tmp_path / "places.mmdb")
    dns_port, dns_metrics_port, *ports = ports_for_later(4)
    peer_ports = dict(zip(clusters, ports, strict=True))
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(WAIT_SECONDS)))
        for cluster in clusters.values():
            await asyncio.to_thread(cluster.set_up)
            await cluster.server.start()
            stack.push_async_callback(cluster.server.stop)
        await asyncio.to_thread(publish, clusters[VIRGINIA], clusters[SHANGHAI], peer_ports)
        operator = start_part(tmp_path / "operator.log", "voxfleet_operator", operator_settings(control_plane))
        stack.callback(operator.end)
        gateways = {}
        for name, cluster in clusters.items():
            settings = gateway_settings(cluster, issue(tmp_path, authority, name), database, peer_ports[name])
            gateways[name] = start_part(tmp_path / f"{name}.log", "voxfleet_gateway", settings)
            stack.callback(gateways[name].end)
        options = {
            "location-database": str(database),
            "peer-tls-folder": str(tmp_path / f"peer-{VIRGINIA}"),
            "report-seconds": "0.5",
            "solve-seconds": "1",
            "explore-share": "0",
        }
        dns = DnsServers(tmp_path, zone_file(tmp_path, peer_ports), dns_port, dns_metrics_port, options)
        started = running(dns)
        await asyncio.to_thread(started.__enter__)
        stack.push_async_callback(asyncio.to_thread, started.__exit__, None, None, None)
        yield World(clusters, gateways, dns, session, operator)
