"""The engine beside a real API server: models and regions come from the ConfigMaps that the operator writes."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.rcode
import pytest
from voxfleet_testbed.dns.location_example import write_location_database
from voxfleet_testbed.dns.processes import DnsServers, running
from voxfleet_testbed.dns.queries import addresses, query, subnet
from voxfleet_testbed.fixtures import own_address_or_skip
from voxfleet_testbed.network.addresses import ports_for_later

ZONE = "tts.example.com."
NAMESPACE = "dns-system"
CONFIGMAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
LONG_SECONDS = 90.0


def put_model(api: Any, name: str, url: str, **fields: Any) -> None:
    regions = [
        {"name": "asia", "latitude": 31.2, "longitude": 121.5, "gateway_url": None},
        {"name": "europe", "latitude": 50.1, "longitude": 8.7, "gateway_url": url},
    ]
    model = {"schema": "voxfleet.dev/registry/v1", "namespace": "apps", "name": name, "model": f"{name}-1.5"}
    content = {**model, "created_at": "2026-01-01T00:00:00Z", "regions": regions, **fields}
    labels = {"voxfleet.dev/model-registry": "true"}
    api.apply(
        f"{CONFIGMAPS}/{name}",
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
            "data": {"model.json": json.dumps(content)},
        },
    )


@pytest.fixture(scope="module")
def in_cluster(
    _dns_packages: None, control_plane: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DnsServers]:
    folder: Path = tmp_path_factory.mktemp("dns")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    control_plane.api.apply(f"/api/v1/namespaces/{NAMESPACE}", namespace)
    put_model(control_plane.api, "narrator", f"https://{own_address_or_skip()}:6007")
    zone = folder / "zone.yaml"
    zone.write_text(
        f"zone: {ZONE}\nnameServers: [{{name: ns.example.net}}]\nregions: [{{name: asia, addresses: [192.0.2.40]}}]\n"
    )
    port, metrics_port = ports_for_later(2)
    options = {
        "location-database": str(write_location_database(folder / "places.mmdb")),
        "registry": "true",
        "system-namespace": NAMESPACE,
        "kubeconfig": str(control_plane.kubeconfig),
        "allow-private-addresses": "true",
        "allowed-peer-networks": f"{own_address_or_skip()}/32",
    }
    with running(DnsServers(folder, zone, port, metrics_port, options)) as servers:
        yield servers


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_SECONDS
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def answer(servers: DnsServers, network: str, name: str = "narrator-1-5") -> set[str]:
    return addresses(query(servers.port, f"{name}.{ZONE}", "A", subnet(network)))


def test_models_resolve_to_addresses_of_the_file_and_of_gateway_urls(in_cluster: DnsServers) -> None:
    wait_until(lambda: answer(in_cluster, "30.1.2.0/24") == {own_address_or_skip()})
    assert answer(in_cluster, "20.1.2.0/24") == {"192.0.2.40"}
    assert answer(in_cluster, "20.1.2.0/24", "narrator.apps") == {"192.0.2.40"}
    https = query(in_cluster.port, f"narrator-1-5.{ZONE}", "HTTPS", subnet("30.1.2.0/24"))
    assert [record.to_text() for record in https.answer[0]] == [f'1 . ipv4hint="{own_address_or_skip()}"']


def test_models_come_change_and_go(in_cluster: DnsServers, control_plane: Any) -> None:
    name = f"reader-1-5.{ZONE}"
    assert query(in_cluster.port, name).rcode() == dns.rcode.NXDOMAIN
    put_model(control_plane.api, "reader", f"https://{own_address_or_skip()}")
    wait_until(lambda: answer(in_cluster, "20.1.2.0/24", "reader-1-5") == {"192.0.2.40"})
    suspended = [{"name": "asia", "suspended": True, "gateway_url": None}]
    europe = [{"name": "europe", "latitude": 50.1, "longitude": 8.7, "gateway_url": f"https://{own_address_or_skip()}"}]
    put_model(control_plane.api, "reader", "", regions=suspended + europe)
    wait_until(lambda: answer(in_cluster, "20.1.2.0/24", "reader-1-5") == {own_address_or_skip()})
    control_plane.api.delete(f"{CONFIGMAPS}/reader")
    wait_until(lambda: query(in_cluster.port, name).rcode() == dns.rcode.NXDOMAIN)


def test_an_engine_that_has_read_no_models_serves_nothing(tmp_path: Path) -> None:
    """An empty zone would be NXDOMAIN, which resolvers keep."""
    (metrics_port, closed_port) = ports_for_later(2)
    cluster = {"name": "away", "cluster": {"server": f"http://127.0.0.1:{closed_port}"}}
    context = {"name": "away", "context": {"cluster": "away", "user": ""}}
    kubeconfig = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context]}
    (tmp_path / "kubeconfig").write_text(json.dumps({**kubeconfig, "current-context": "away"}))
    (tmp_path / "zone.yaml").write_text(f"zone: {ZONE}\nnameServers: [{{name: ns.example.net}}]\n")
    flags = {
        "zone-file": tmp_path / "zone.yaml",
        "backend-socket": tmp_path / "s.sock",
        "host": "127.0.0.1",
        "metrics-port": metrics_port,
        "registry": "true",
        "kubeconfig": tmp_path / "kubeconfig",
    }
    arguments = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    process = subprocess.Popen([sys.executable, "-m", "voxfleet_gateway", "dns", *arguments])
    try:
        wait_until(lambda: status(metrics_port, "live") == 200)
        time.sleep(1)
        assert status(metrics_port, "ready") == 503
        assert not (tmp_path / "s.sock").exists()
    finally:
        process.terminate()
        assert process.wait(60) == 0


def status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/{path}", timeout=20) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
