"""A cluster without nodes into which a proxy leads: the objects of its administrator, the operator, the gateway.

Does: starts processes, makes certificates, publishes what controllers and kubelets would, waits for the operator's
conditions and until the proxy leads to the gateway.
Knows: the chart's Service; addresses of loopback and what they stand for. Does not know: which proxy it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import itertools
import json
import subprocess
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.errors import ApiError
from voxfleet_testbed.fixtures import own_address_or_skip
from voxfleet_testbed.network.certificates import Authority, Identity
from voxfleet_testbed.nodeless.clients import client_session, status_of
from voxfleet_testbed.nodeless.processes import WAIT_SECONDS, Process, start_part, start_process, until
from voxfleet_testbed.nodeless.site_objects import (
    GATEWAY_API,
    RESOURCES,
    gateway,
    gateway_object,
    namespace,
)
from voxfleet_testbed.nodeless.site_settings import (
    ADMITTED_LABEL,
    APPS,
    DEMAND,
    INFRA,
    NAME,
    SYSTEM,
    gateway_settings,
    operator_settings,
)
from voxfleet_testbed.nodeless.stub_server import StubServer
from voxfleet_testbed.programs.go_builds import Programs
from voxfleet_testbed.settings import REPOSITORY

CRD = REPOSITORY / "crds" / "voxfleet.dev_voxttsdeployments.yaml"


@dataclass
class Site:
    """The cluster and its processes.

    Attributes:
        ports: where clients reach the proxy, by the names of the Gateway's sections.
        sections: the sections' own ports, which a proxy may map to others.
        encrypted: the sections with TLS.
    """

    api: Api
    kubeconfig: Path
    programs: Programs
    folder: Path
    authority: Authority
    ports: dict[str, int]
    sections: dict[str, int]
    encrypted: tuple[str, ...]
    processes: dict[str, Process] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self, name: str, command: list[str]) -> Process:
        """Start a program that finds the cluster by KUBECONFIG."""
        started = start_process(self._log(name), command, {"KUBECONFIG": str(self.kubeconfig)})
        self.processes[name] = started
        return started

    def start_part(self, name: str, settings: dict[str, str]) -> Process:
        """Start the operator or the gateway."""
        settings = settings | {"KUBECONFIG": str(self.kubeconfig)}
        self.processes[name] = start_part(self._log(name), f"voxfleet_{name}", settings)
        return self.processes[name]

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}-{next(self.numbers)}.log"

    def end(self, *names: str) -> None:
        """End these processes, which takes each of them a moment, at the same time."""
        for name in names:
            self.processes[name].popen.terminate()
        for name in names:
            self.processes.pop(name).end()

    def apply(self, path: str, body: dict[str, Any]) -> None:
        """Apply an object; `path` is that of its collection."""
        self.api.apply(f"{path}/{body['metadata']['name']}", body)

    def apply_definitions(self, paths: Iterable[Path], wanted: Iterable[str]) -> None:
        """Apply the CustomResourceDefinitions of files whose names contain one of the words."""
        for path in paths:
            for body in yaml.load_all(path.read_text(), yaml.CSafeLoader):
                is_definition = body and body["kind"] == "CustomResourceDefinition"
                if is_definition and any(word in body["metadata"]["name"] for word in wanted):
                    self.apply("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)

    def publish(self, class_name: str, controller: str, resources: Iterable[dict[str, Any]]) -> None:
        """Be the administrators, after they have applied definitions: namespaces, the Gateway, resources."""
        for name in (SYSTEM, DEMAND, APPS, INFRA):
            self.apply("/api/v1/namespaces", namespace(name))
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        self.apply(f"/api/v1/namespaces/{APPS}/serviceaccounts", account)
        for path in (RESOURCES, f"{GATEWAY_API}/gatewayclasses", f"{GATEWAY_API}/gateways"):
            self.api.wait_for(path, lambda _: True, WAIT_SECONDS)
        spec = {"controllerName": controller}
        self.apply(f"{GATEWAY_API}/gatewayclasses", gateway_object("GatewayClass", {"name": class_name}, spec))
        made = gateway(class_name, self.sections, self.encrypted)
        self.apply(f"{GATEWAY_API}/namespaces/{INFRA}/gateways", made)
        for body in resources:
            self.apply(RESOURCES, body)

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
        """Be the controller that puts an address of this machine behind a Service."""
        labels = labels | {"kubernetes.io/service-name": service}
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"{service}-pod", "namespace": namespace, "labels": labels},
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
            assert gateway.popen.poll() is None, gateway.text()  # noqa: S101 - of tests
            listening = [line for line in gateway.lines() if line.get("event") == "listening"]
            return dict(listening[0]["ports"]) if listening else {}

        found = until(ports, "the gateway listens", gateway.text)
        self.put_slice(SYSTEM, "voxfleet-gateway", {"http": found["api"], "internal": found["internal"]}, {})

    def restart_with_tls(self, certificate: Path, key: Path) -> None:
        """Start operator and gateway again, as the chart configures them with gateway.tls.secretName."""
        self.end("operator", "gateway")
        self.start_part("operator", operator_settings() | {"GATEWAY_TLS": "true"})
        self.start_gateway(TLS_CERTIFICATE=str(certificate), TLS_KEY=str(key))

    def put_pods(self, *pods: StubServer) -> None:
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
        """Return what the gateway reads of the resource."""
        listed = self.api.get(f"/api/v1/namespaces/{SYSTEM}/configmaps")["items"]
        models = [json.loads(item["data"]["model.json"]) for item in listed if "model.json" in item.get("data", {})]
        return next((dict(model) for model in models if model["name"] == NAME), {})

    def condition(self, kind: str) -> dict[str, Any]:
        """Return a condition of the resource; empty without one."""
        found = self.api.get(f"{RESOURCES}/{NAME}")
        conditions = found.get("status", {}).get("conditions", [])
        return next((dict(each) for each in conditions if each["type"] == kind), {})

    async def until_condition(self, kind: str, reason: str) -> dict[str, Any]:
        """Wait for a condition of the resource, in the operator's words."""

        def found() -> dict[str, Any]:
            condition = self.condition(kind)
            return condition if condition.get("reason") == reason else {}

        seen = await asyncio.to_thread(until, found, f"{kind} {reason}", lambda: (self.condition(kind), self.logs()))
        return dict(seen)

    def admit(self, label: str | None) -> None:
        """Label the resource's namespace, or take the label away."""
        body = {"metadata": {"labels": {ADMITTED_LABEL: label}}}
        self.api.request("PATCH", f"/api/v1/namespaces/{APPS}", body, "application/merge-patch+json")

    def logs(self) -> str:
        """Return the end of each process's log."""
        return "\n".join(f"--- {name}\n{process.text()[-1500:]}" for name, process in self.processes.items())

    @contextlib.asynccontextmanager
    async def session(self, client: str = "127.0.5.1") -> AsyncIterator[aiohttp.ClientSession]:
        """Yield a client at an address of loopback, which trusts the certificates of this site."""
        async with client_session(self.authority.pem().decode(), client, WAIT_SECONDS) as session:
            yield session

    def url(self, host: str, path: str = "/v1/audio/speech", section: str | None = None) -> str:
        """Return an address at a section, the first with TLS when none is named."""
        return f"https://{host}:{self.ports[section or self.encrypted[0]]}{path}"

    async def until_answered(self, *hosts: str) -> None:
        """Wait until the gateway answers through the proxy at each host."""
        seen = dict.fromkeys(itertools.product(hosts, self.encrypted), "")
        deadline = time.monotonic() + WAIT_SECONDS
        async with self.session() as session:
            while set(seen.values()) != {"200"}:
                for host, section in seen:
                    seen[host, section] = await status_of(session, self.url(host, "/health/ready", section))
                if time.monotonic() > deadline:
                    pytest.fail(f"{seen}\n{self.logs()}")
                await asyncio.sleep(0.1)
