"""What operator and gateway write for each other, read by the other side's own code."""

import hashlib
import json

from pydantic import TypeAdapter
from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, PodEndpoint, ReceivedReport
from voxfleet_gateway.pods.fleet import Fleet, utc_now
from voxfleet_gateway.regions import ModelEntry, RegionKey, Registry, parse_entry
from voxfleet_gateway.server.internal.load import load_body
from voxfleet_gateway.tokens import gateway_token, pod_token
from voxfleet_operator.decisions.demand.load import GatewayLoad
from voxfleet_operator.decisions.demand.wake_timing import WakeProgress
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.resource_plan import ResourcePlan
from voxfleet_operator.manifests import Installation, desired_objects
from voxfleet_operator.manifests.pods.containers import PodSettings, internal_token_sha256
from voxfleet_operator.polling import load_poller
from voxfleet_operator.resources import LastWake, Phase, read_resource

KEY = RegionKey("default", "narrator", "eu-central")
POD_REPORT = {
    "model": "voxcpm-1.5", "state": "ready", "message": "", "open_requests": 3, "running_sequences": 5,
    "waiting_sequences": 0, "free_rows": 27, "queued_audio_seconds": 12.4, "audio_seconds_per_second": 870.0,
    "step_seconds_p50": 0.0041, "first_audio_seconds_p95": 0.06, "last_request_finished_at": "2026-11-23T20:00:00Z",
    "process_seconds": 2.5, "loaded_seconds": 3.2, "warm_seconds": 1.1, "ready_age_seconds": 0.4, "gpu": None,
}  # fmt: skip


FAILED = RegionPlan("eu-central", Phase.FAILED, 0, reason="Failed", message="no weights")


def written_by_the_operator(plan: RegionPlan = FAILED, status: dict[str, object] | None = None) -> ModelEntry:
    metadata = {"namespace": "default", "name": "narrator", "uid": "u", "generation": 4}
    metadata["creationTimestamp"] = "2026-11-23T20:00:00Z"
    region = {
        "name": "eu-central",
        "location": {"latitude": "50.11", "longitude": "8.68"},
        "allowedClients": ["DE"],
        "pricePerGpuHour": {"onDemand": "1.01"},
    }
    resource = read_resource(
        {
            "metadata": metadata,
            "status": status or {},
            "spec": {
                "regions": [region],
                "model": {"languages": ["de", "en-GB"]},
                "gateway": {"spill": False, "publicCatalog": True},
                "serving": {"maxBatchSize": 8},
            },
        }
    )
    plans = {"eu-central": plan}
    settings = PodSettings("localhost/voxfleet-inference:test", "IfNotPresent", "key")
    installation = Installation("voxfleet-system", "voxfleet-demand", "gw.voxfleet-system.svc", settings, ())
    manifests = desired_objects(
        resource, ResourcePlan(plans), installation, owned_names=frozenset(resource.model_names)
    )
    config_map = next(manifest.body for manifest in manifests if manifest.kind == "ConfigMap")
    assert config_map["metadata"]["labels"]["voxfleet.dev/model-registry"] == "true"
    service = next(manifest.body for manifest in manifests if manifest.kind == "Service" and _selects(manifest.body))
    assert "voxfleet.dev/deployment" in service["metadata"]["labels"], "EndpointSlices are watched by this label"
    assert {port["name"] for port in service["spec"]["ports"]} == {"http", "internal"}
    return parse_entry(config_map["data"])


def _selects(service: dict[str, dict[str, object]]) -> bool:
    return bool(service["spec"].get("selector"))


def test_the_gateway_reads_what_the_operator_writes() -> None:
    entry = written_by_the_operator()
    assert (entry.full_name, entry.model, entry.gateway.spill) == ("default/narrator", "narrator", False)
    assert entry.gateway.public_catalog
    assert entry.languages == ("de", "en-GB")
    assert (entry.serving.max_batch_size, entry.serving.max_queued_requests) == (8, 128)
    (region,) = entry.regions
    assert region.name == "eu-central"
    assert (region.latitude, region.allowed_clients, region.price_per_gpu_hour) == (50.11, ("DE",), 1.01)
    assert (region.phase, region.message) == ("Failed", "no weights")
    assert region.lease is not None
    assert region.lease.namespace == "voxfleet-demand"


def test_the_gateway_reads_a_wake_a_sleep_and_a_ledger() -> None:
    woken = 1_795_000_000.0
    wake = WakeProgress(woken, "RequestHeld", scheduled_at=woken + 1, sandbox_at=woken + 1.5)
    last = LastWake(
        started_at="2026-11-23T20:00:00.000000Z", total_seconds="41.2", process_seconds="2", node_seconds="24"
    )
    plan = RegionPlan("eu-central", Phase.WAKING, 1, reason="Waking", wake=wake, last_wake=last, asleep_since=woken)
    month = {"month": "2026-11", "region": "eu-central", "onDemandSeconds": "3600", "onDemandPaid": "1.01"}
    rate = {"region": "eu-central", "onDemandGpus": 1, "onDemandPrice": "1.01"}
    cost = {"asOf": "2026-11-01T01:00:00.000000Z", "gpuSeconds": "3600", "gpuSecondsAvoided": "0", "savedRatio": "0"}
    (region,) = written_by_the_operator(plan, {"cost": cost | {"rates": [rate], "months": [month]}}).regions
    assert region.wake is not None
    assert (region.wake.started_at.timestamp(), region.wake.container_at) == (woken, None)
    assert region.wake.sandbox_at is not None
    assert region.last_wake is not None
    assert (region.last_wake.total, region.last_wake.node, region.last_wake.weights) == (41.2, 24.0, None)
    assert region.asleep_since is not None
    assert region.cost is not None
    assert (region.cost.paid, region.cost.paid_per_hour, region.cost.gpu_seconds) == (0.0, 1.01, 0.0)


def test_the_operator_reads_what_the_gateway_reports() -> None:
    entry = written_by_the_operator()
    registry, address = Registry.of([entry]), PodAddress("10.244.1.5")
    fleet = Fleet(lambda: registry, lambda _service: (PodEndpoint(address),), dict, {KEY: 2}.__getitem__)
    fleet.refresh()
    fleet.record_report(
        KEY, address, ReceivedReport(TypeAdapter(LoadReport).validate_python(POD_REPORT), POD_REPORT, 10.0)
    )
    fleet.regions[KEY].traffic.record_end(1.0, utc_now())
    read = GatewayLoad.model_validate(json.loads(json.dumps(load_body(fleet, "gateway-1", "eu-central", 10.4))))
    (model,), (pod,) = read.models, read.pods
    assert (model.held_requests, model.region, pod.address, pod.age_seconds) == (2, "eu-central", "10.244.1.5", 0.4)
    assert (pod.load.state, pod.load.open_requests, pod.load.warm_seconds) == ("ready", 3, 1.1)


def test_both_sides_derive_the_same_tokens() -> None:
    assert gateway_token("key") == load_poller.gateway_token("key")
    token = pod_token("key", "default", "narrator")
    assert internal_token_sha256("key", "default", "narrator") == hashlib.sha256(token.encode()).hexdigest()
