"""Traefik before a real gateway, by the Ingresses and the HTTPRoute that the operator makes in a cluster.

Real: the API server, the operator, the gateway, Traefik with its own time limits, the chart's Service, certificates, a
location database. No kubelet and no endpoint controller run: `Site.start_gateway` and `Site.put_pods` write the
EndpointSlices that started pods would lead to, and the pods are small HTTP servers.
"""

import asyncio
import contextlib
import datetime as dt
import itertools
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.cluster.control_plane import ControlPlane
from voxfleet_testbed.dns.location_example import BERLIN, NEW_YORK, write_location_database
from voxfleet_testbed.errors import ApiError
from voxfleet_testbed.fixtures import own_address_or_skip, skipping
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.network.certificates import Authority, Identity, make_authority
from voxfleet_testbed.nodeless.stub_server import StubServer
from voxfleet_testbed.programs.environments import python_environment
from voxfleet_testbed.programs.go_builds import Programs, build, find_programs
from voxfleet_testbed.settings import REPOSITORY, Settings

KEY = "a key of ways in"
SYSTEM, DEMAND, APPS, INFRA, NAME = "ways-system", "ways-demand", "ways-apps", "ways-infra", "narrator"
REGIONS = {"eu-central": ("50.11", "8.68"), "us-east": ("39.04", "-77.49")}
INGRESS_HOST, ROUTE_HOST, NGINX_HOST = "tts.example.com", "api.tts.example.com", "nginx.tts.example.com"
SECTIONS = ("websecure", "short")  # entry points with TLS; with `web`, which has none, sections of the Gateway too
CLASSES = {"traefik": "traefik.io/ingress-controller", "nginx": "k8s.io/ingress-nginx"}
# Clients connect to Traefik from these addresses of loopback.
NETWORKS = {"127.0.5.0/24": BERLIN, "127.0.6.0/24": NEW_YORK}
WAIT_SECONDS = 90.0  # of a loaded machine; nothing waits for the whole of it
# Far below the default of 60 s, so that a request can outlast it here.
READ_TIMEOUT_SECONDS = 1
# Of the provider that reads annotations of ingress-nginx: with these defaults nothing streams without ours.
NGINX_DEFAULTS = {"proxyreadtimeout": "1", "proxysendtimeout": "1", "proxybuffering": "true"}
NGINX_DEFAULTS |= {"proxyrequestbuffering": "true", "proxybodysize": "1000"}
TRAEFIK_FLAGS = (
    "--providers.kubernetesingress",
    "--providers.kubernetesgateway",
    "--providers.kubernetescrd",
    *(f"--providers.kubernetesingressnginx.{name}={value}" for name, value in NGINX_DEFAULTS.items()),
)
LOCK = Path(__file__).parent / "requirements" / "traefik.txt"
# The definitions of what Traefik watches lie in its published module.
MODULE, MODULE_SUM = "github.com/traefik/traefik/v3@v3.7.13", "h1:T8wy9KuaFzCkmXCqAzDy7t73pBDR1DHrJe3pqXpNXTw="
DEFINITIONS = ("gateway-api-conformance/00-experimental-v1.6.1.yml", "k8s/01-traefik-crd.yml")
UNWATCHED = ("tcproutes.gateway", "udproutes.gateway", "listenersets.gateway", "x-k8s.io")  # parts of their names
GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
DEFINITION_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CRD = REPOSITORY / "crds" / "voxfleet.dev_voxttsdeployments.yaml"


@dataclass
class Pod(StubServer):
    """A pod's server; a test holds its second chunk back until `may_go_on` is set."""

    namespace: str = APPS
    name: str = NAME
    internal_key: str = KEY
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/audio/speech", self._speak)
        app.router.add_get("/v1/audio/speech/stream", self._stream)

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "audio/wav"})
        await response.prepare(request)
        await response.write(b"RIFF")
        await self.may_go_on.wait()
        await response.write(self.region.encode())
        return response

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.send_str(json.dumps({"type": "session.started", "seed": 7, "sample_rate": 24000}))
        await socket.send_bytes(b"RIFF")
        await self.may_go_on.wait()
        await socket.send_bytes(self.region.encode())
        await socket.send_str(json.dumps({"type": "session.done", "usage": {}}))
        await socket.close()
        return socket


@dataclass
class Process:
    """A process of the product, or Traefik, and where its log is."""

    popen: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def lines(self) -> Iterator[dict[str, Any]]:
        for line in self.text().splitlines():
            with contextlib.suppress(ValueError):
                yield json.loads(line)

    def end(self) -> None:
        self.popen.terminate()
        try:
            self.popen.wait(20)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


def until(is_true: Callable[[], Any], what: str, seen: Callable[[], Any] = str) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(ApiError):
            if found := is_true():
                return found
        time.sleep(0.05)
    pytest.fail(f"not within {WAIT_SECONDS} s: {what}; {seen()}")


class Loopback(AbstractResolver):
    """Both hosts lead to Traefik on this machine, as their records would."""

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        flags = socket.AI_NUMERICHOST
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=flags)]

    async def close(self) -> None:
        return


@dataclass
class Site:
    """The cluster and its processes; `ports` are those of Traefik's entry points."""

    api: Api
    kubeconfig: Path
    programs: Programs
    traefik: Path
    folder: Path
    authority: Authority
    processes: dict[str, Process] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self, name: str, command: list[str], environment: dict[str, str]) -> Process:
        log = self.folder / f"{name}-{next(self.numbers)}.log"
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "KUBECONFIG": str(self.kubeconfig), **environment}
        with log.open("ab") as output:
            popen = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        self.processes[name] = Process(popen, log)
        return self.processes[name]

    def start_part(self, name: str, settings: dict[str, str]) -> Process:
        environment = {f"VOXFLEET_{key}": value for key, value in settings.items()}
        environment["VOXFLEET_KUBECONFIG"] = str(self.kubeconfig)
        return self.start(name, [sys.executable, "-m", f"voxfleet_{name}"], environment)

    def end(self, *names: str) -> None:
        """End these processes, which takes each of them a moment, at the same time."""
        for name in names:
            self.processes[name].popen.terminate()
        for name in names:
            self.processes.pop(name).end()

    def apply(self, path: str, body: dict[str, Any]) -> None:
        self.api.apply(f"{path}/{body['metadata']['name']}", body)

    def put_tls_secret(self, namespace: str, name: str, *hosts: str) -> tuple[Path, Path]:
        """Make a certificate, as a Secret and as files."""
        address = own_address_or_skip()
        pair = self.authority.issue(Identity(name, names=hosts, addresses=(address,)), dt.datetime.now(dt.UTC))
        metadata = {"name": name, "namespace": namespace}
        data = {"tls.crt": pair.certificate.decode(), "tls.key": pair.key.decode()}
        body = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata}
        self.apply(f"/api/v1/namespaces/{namespace}/secrets", body | {"stringData": data})
        files = (self.folder / f"{name}.crt", self.folder / f"{name}.key")
        for path, content in zip(files, (pair.certificate, pair.key), strict=True):
            path.write_bytes(content)
        return files

    def put_slice(self, namespace: str, service: str, ports: dict[str, int], labels: dict[str, str]) -> None:
        metadata = {
            "name": f"{service}-pod",
            "namespace": namespace,
            "labels": labels | {"kubernetes.io/service-name": service},
        }
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": "IPv4",
            "ports": [{"name": name, "port": port} for name, port in ports.items()],
            "endpoints": [{"addresses": [own_address_or_skip()], "conditions": {"ready": True}}],
        }
        self.apply(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices", body)

    def put_gateway_service(self, values: dict[str, Any]) -> None:
        """Apply the Service of the chart, as helm renders it."""
        command = [str(self.programs.path("helm")), "template", "voxfleet", str(REPOSITORY / "charts" / "voxfleet")]
        command += ["--namespace", SYSTEM, "--show-only", "templates/gateway-services.yaml", "--values", "-"]
        rendered = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=True)
        bodies = [body for body in yaml.safe_load_all(rendered.stdout) if body]
        service = next(body for body in bodies if body["metadata"]["name"] == "voxfleet-gateway")
        self.apply(f"/api/v1/namespaces/{SYSTEM}/services", service)

    def start_gateway(self, **settings: str) -> None:
        """Start the gateway, and be the controller that puts its address behind the chart's Service."""
        gateway = self.start_part("gateway", gateway_settings(self.folder) | settings)

        def ports() -> dict[str, int]:
            assert gateway.popen.poll() is None, gateway.text()
            listening = [line for line in gateway.lines() if line.get("event") == "listening"]
            return dict(listening[0]["ports"]) if listening else {}

        found = until(ports, "the gateway listens", gateway.text)
        self.put_slice(SYSTEM, "voxfleet-gateway", {"http": found["api"], "internal": found["internal"]}, {})

    def start_traefik(self, *flags: str) -> None:
        """Start Traefik; its ports stay, because the Gateway names them."""
        entry_points = [f"--entrypoints.{name}.address=127.0.0.1:{port}" for name, port in self.ports.items()]
        quiet = ["--global.checknewversion=false", "--global.sendanonymoususage=false", "--log.level=INFO"]
        short = f"--entrypoints.short.transport.respondingtimeouts.readtimeout={READ_TIMEOUT_SECONDS}s"
        command = [str(self.traefik), *entry_points, short, *quiet, *TRAEFIK_FLAGS, *flags]
        self.start("traefik", command, {})

    def restart_with_tls(self, certificate: Path, key: Path) -> None:
        """Start operator and gateway again, as the chart configures them with gateway.tls.secretName."""
        self.end("operator", "gateway")
        self.start_part("operator", operator_settings() | {"GATEWAY_TLS": "true"})
        self.start_gateway(TLS_CERTIFICATE=str(certificate), TLS_KEY=str(key))

    def put_pods(self, *pods: Pod) -> None:
        """Be the kubelets: each region has its pod, or none."""
        path = f"/apis/discovery.k8s.io/v1/namespaces/{APPS}/endpointslices"
        running = {pod.region: pod for pod in pods}
        for region in self.registry()["regions"]:
            service, pod = region["service"]["name"], running.get(region["name"])
            if pod is not None:
                ports = dict(zip(("http", "internal"), pod.ports, strict=True))
                self.put_slice(APPS, service, ports, {"voxfleet.dev/deployment": NAME})
            else:
                with contextlib.suppress(ApiError):
                    self.api.delete(f"{path}/{service}-pod")

    def registry(self) -> dict[str, Any]:
        """What the gateway reads of the resource."""
        listed = self.api.get(f"/api/v1/namespaces/{SYSTEM}/configmaps")["items"]
        models = [json.loads(item["data"]["model.json"]) for item in listed if "model.json" in item.get("data", {})]
        return next((dict(model) for model in models if model["name"] == NAME), {})

    def condition(self, kind: str) -> dict[str, Any]:
        found = self.api.get(f"/apis/voxfleet.dev/v1alpha1/namespaces/{APPS}/voxttsdeployments/{NAME}")
        conditions = found.get("status", {}).get("conditions", [])
        return next((dict(each) for each in conditions if each["type"] == kind), {})

    def logs(self) -> str:
        return "\n".join(f"--- {name}\n{process.text()[-1500:]}" for name, process in self.processes.items())

    @contextlib.asynccontextmanager
    async def session(self, client: str = "127.0.5.1") -> AsyncIterator[aiohttp.ClientSession]:
        """A client at an address of loopback, which trusts the certificates of this site."""
        trusted = ssl.create_default_context(cadata=self.authority.pem().decode())
        connector = aiohttp.TCPConnector(local_addr=(client, 0), resolver=Loopback(), ssl=trusted)
        timeout = aiohttp.ClientTimeout(WAIT_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            yield session

    def url(self, host: str, path: str = "/v1/audio/speech", entry_point: str = "websecure") -> str:
        return f"https://{host}:{self.ports[entry_point]}{path}"

    async def until_answered(self, *hosts: str) -> None:
        """Wait until the gateway answers through Traefik at each host."""
        seen = dict.fromkeys(itertools.product(hosts, SECTIONS), "")
        deadline = time.monotonic() + WAIT_SECONDS
        async with self.session() as session:
            while set(seen.values()) != {"200"}:
                for host, entry_point in seen:
                    url = self.url(host, "/health/ready", entry_point)
                    seen[host, entry_point] = await _status(session, url)
                assert time.monotonic() < deadline, f"{seen}\n{self.logs()}"
                await asyncio.sleep(0.1)


async def _status(session: aiohttp.ClientSession, url: str) -> str:
    try:
        async with session.get(url) as answer:
            return str(answer.status)
    except aiohttp.ClientError as error:
        return repr(error)


def operator_settings() -> dict[str, str]:
    health, metrics = ports_for_later(2)
    return {
        "SYSTEM_NAMESPACE": SYSTEM,
        "DEMAND_NAMESPACE": DEMAND,
        "INTERNAL_KEY": KEY,
        "INFERENCE_IMAGE": "localhost/voxfleet-inference:test",
        "HEALTH_HOST": "127.0.0.1",
        "HEALTH_PORT": str(health),
        "METRICS_PORT": str(metrics),
        "LOAD_POLL_SECONDS": "0.5",
        "ALLOWED_INGRESS_DOMAINS": INGRESS_HOST,
    }


def gateway_settings(folder: Path) -> dict[str, str]:
    return {
        "REGION": "eu-central",
        "INTERNAL_KEY": KEY,
        "SYSTEM_NAMESPACE": SYSTEM,
        "DEMAND_NAMESPACE": DEMAND,
        "HOST": own_address_or_skip(),
        "PORT": "0",
        "METRICS_PORT": "0",
        "INTERNAL_PORT": "0",
        "POD_NAME": "gateway-0",
        "TRUSTED_PROXIES": f"{own_address_or_skip()}/32",  # Traefik's own address is this machine's
        "LOCATION_DATABASE": str(write_location_database(folder / "places.mmdb", NETWORKS)),
        "DRAIN_GRACE_SECONDS": "0.2",
        "DRAIN_SECONDS": "2",
    }


def resource() -> dict[str, Any]:
    regions = [
        {"name": name, "location": {"latitude": latitude, "longitude": longitude}}
        for name, (latitude, longitude) in REGIONS.items()
    ]
    parents = [{"name": "public", "namespace": INFRA, "sectionName": name} for name in SECTIONS]
    return {
        "apiVersion": "voxfleet.dev/v1alpha1",
        "kind": "VoxTTSDeployment",
        "metadata": {"name": NAME, "namespace": APPS},
        "spec": {
            "regions": regions,
            "autoscaling": {"maxReplicas": 1, "idleTimeoutSeconds": 3600},
            "ingress": {"host": INGRESS_HOST, "className": "traefik", "tlsSecretName": "ingress-tls"},
            "route": {"parentRefs": parents, "hostnames": [ROUTE_HOST]},
        },
    }


def second_resource() -> dict[str, Any]:
    """A resource names one host; all models answer there."""
    ingress = {"host": NGINX_HOST, "className": "nginx", "tlsSecretName": "ingress-tls"}
    found = resource()
    return found | {
        "metadata": {"name": "second", "namespace": APPS},
        "spec": {"regions": [{"name": "eu-central"}], "ingress": ingress},
    }


def section(name: str, port: int) -> dict[str, Any]:
    admitted = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"ways-in": "public"}}}}
    tls = {"tls": {"mode": "Terminate", "certificateRefs": [{"name": "gateway-tls"}]}} if name in SECTIONS else {}
    return {"name": name, "port": port, "protocol": "HTTPS" if tls else "HTTP", "allowedRoutes": admitted} | tls


def publish_definitions(site: Site) -> None:
    download = ["go", "mod", "download", "-json", MODULE]
    module = json.loads(subprocess.run(download, cwd=site.folder, capture_output=True, check=True).stdout)
    assert module["Sum"] == MODULE_SUM
    for path in (CRD, *(Path(module["Dir"]) / "integration" / "fixtures" / name for name in DEFINITIONS)):
        for body in yaml.load_all(path.read_text(), yaml.CSafeLoader):
            is_definition = body and body["kind"] == "CustomResourceDefinition"
            if is_definition and not any(part in body["metadata"]["name"] for part in UNWATCHED):
                site.apply(DEFINITION_PATH, body)


def publish(site: Site) -> None:
    """What administrators do: namespaces, classes, the Gateway, certificates, resources."""
    publish_definitions(site)
    for name in (SYSTEM, DEMAND, APPS, INFRA):
        site.apply("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    site.apply(f"/api/v1/namespaces/{APPS}/serviceaccounts", account)
    site.put_tls_secret(SYSTEM, "ingress-tls", INGRESS_HOST, NGINX_HOST)
    site.put_tls_secret(INFRA, "gateway-tls", ROUTE_HOST)
    for name, controller in CLASSES.items():
        body = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name}}
        site.apply("/apis/networking.k8s.io/v1/ingressclasses", body | {"spec": {"controller": controller}})
    resources = f"/apis/voxfleet.dev/v1alpha1/namespaces/{APPS}/voxttsdeployments"
    for path in (resources, f"{GATEWAY_API}/gatewayclasses", f"{GATEWAY_API}/gateways"):
        site.api.wait_for(path, lambda _: True, WAIT_SECONDS)
    class_spec = {"controllerName": "traefik.io/gateway-controller"}
    site.apply(f"{GATEWAY_API}/gatewayclasses", gateway_object("GatewayClass", {"name": "traefik"}, class_spec))
    spec = {"gatewayClassName": "traefik", "listeners": [section(*each) for each in site.ports.items()]}
    gateway = gateway_object("Gateway", {"name": "public", "namespace": INFRA}, spec)
    site.apply(f"{GATEWAY_API}/namespaces/{INFRA}/gateways", gateway)
    for body in (resource(), second_resource()):
        site.apply(resources, body)


def gateway_object(kind: str, metadata: dict[str, str], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


@pytest.fixture(scope="module")
def site(
    testbed_settings: Settings, second_control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    programs = find_programs(testbed_settings)
    with skipping(testbed_settings):
        build(programs, ["helm"])
    made = make_authority("ways in", dt.datetime.now(dt.UTC))
    folder = tmp_path_factory.mktemp("site")
    traefik = Path(python_environment(testbed_settings.cache, LOCK)).with_name("traefik")
    site = Site(second_control_plane.api, second_control_plane.kubeconfig, programs, traefik, folder, made)
    site.ports = dict(zip(("websecure", "short", "web"), ports_for_later(3), strict=True))
    publish(site)
    site.put_gateway_service({"gateway": {"regions": [{"name": "eu-central"}]}})
    try:
        site.start_part("operator", operator_settings())
        site.start_traefik()
        site.start_gateway()
        yield site
    finally:
        site.end(*site.processes)


@pytest.fixture
async def new_pod(site: Site) -> AsyncIterator[Callable[..., Awaitable[Pod]]]:
    """Start a pod in a region; it is ready at once, and gone at the end of the test."""
    pods: list[Pod] = []

    async def start(region: str = "eu-central", *, may_go_on: bool = True) -> Pod:
        pod = Pod(region)
        if may_go_on:
            pod.may_go_on.set()
        await pod.start()
        pods.append(pod)
        await asyncio.to_thread(site.put_pods, *pods)
        return pod

    yield start
    await asyncio.to_thread(site.put_pods)
    for pod in pods:
        await pod.stop()
