"""Which fields of an object reach the operator's states, and which changes count as drift."""

from typing import Any

from voxfleet_operator import names
from voxfleet_operator.cluster.parsing.objects import parse_deployment, parse_endpoint_slice, parse_object
from voxfleet_operator.cluster.parsing.pods import Receipt
from voxfleet_operator.decisions.observed import ForeignScale

NOW = 1_795_000_000.0
EVENT = Receipt(NOW, is_listing=False)
LABELS = names.pool_labels("default", "narrator", "eu", "ondemand")


def body(**parts: Any) -> dict[str, Any]:
    metadata = {"name": "x", "namespace": "default", "uid": "u", "resourceVersion": "1", "labels": LABELS}
    return {"metadata": {**metadata, **parts.pop("metadata", {})}, **parts}


def test_template_and_generation_of_a_deployment_are_read_from_annotations() -> None:
    template = {"metadata": {"annotations": {names.ANNOTATION_TEMPLATE: "abc"}}}
    annotated = {"annotations": {names.ANNOTATION_GENERATION: "7", names.ANNOTATION_REGION_REPLICAS: "3"}}
    seen = parse_deployment(body(metadata=annotated, spec={"replicas": 1, "template": template}), None, EVENT)
    assert (seen.template, seen.generation, seen.region_replicas) == ("abc", 7, 3)
    foreign = parse_deployment(body(metadata={"annotations": {names.ANNOTATION_GENERATION: "x"}}, spec={}), None, EVENT)
    assert (foreign.template, foreign.generation) == ("", None)


def test_refused_pods_are_read_from_the_deployments_condition() -> None:
    message = 'pods "narrator-x" is forbidden: failed quota: q: must specify limits.cpu for: inference'
    refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    progressing = {"type": "Progressing", "status": "True", "message": "ReplicaSet is progressing"}
    for conditions, expected in (
        ([progressing, refused], message),
        ([progressing, {**refused, "status": "False"}], ""),
    ):
        deployment = body(spec={"replicas": 1}, status={"conditions": conditions})
        assert parse_deployment(deployment, None, EVENT).pods_refused == expected


def test_ready_endpoints_and_the_internal_port_of_a_slice() -> None:
    endpoints = [
        {"addresses": ["10.1.0.1"], "conditions": {"ready": True}},
        {"addresses": ["10.1.0.2"], "conditions": {"ready": False}},
        {"addresses": ["10.1.0.3"]},
    ]
    ports = [{"name": "http", "port": 6006}, {"name": "internal", "port": 9191}]
    state = parse_endpoint_slice(body(endpoints=endpoints, ports=ports), None, EVENT)
    assert (state.addresses, state.port) == (("10.1.0.1", "10.1.0.3"), 9191)
    assert parse_endpoint_slice(body(endpoints=endpoints, ports=ports[:1]), None, EVENT).port is None


def test_foreign_fields_and_status_are_no_drift() -> None:
    lease = body(spec={"leaseDurationSeconds": 60})
    renewed = body(
        metadata={"annotations": {names.ANNOTATION_ASLEEP_SINCE: "x"}, "resourceVersion": "9"},
        spec={"leaseDurationSeconds": 60, "renewTime": "2026-11-18T10:00:00.000000Z", "holderIdentity": "gw-0"},
        status={"anything": 1},
    )
    assert parse_object("Lease", renewed).digest == parse_object("Lease", lease).digest
    longer = body(spec={"leaseDurationSeconds": 61})
    assert parse_object("Lease", longer).digest != parse_object("Lease", lease).digest
    assert parse_object("Deployment", renewed).digest != parse_object("Deployment", lease).digest


def test_objects_that_are_never_applied_have_no_digest() -> None:
    assert parse_object("Pod", body()).digest == ""


def test_replicas_that_another_writer_set_are_known_by_its_field_manager() -> None:
    def owner(manager: str, time: str, **fields: object) -> dict[str, object]:
        return {"manager": manager, "time": time, "fieldsV1": {"f:spec": fields}}

    owners = [
        owner("voxfleet-operator", "2026-11-29T09:00:03Z", **{"f:replicas": {}}),
        owner("kube-controller-manager", "2026-11-29T09:00:02Z", **{"f:replicas": {}}),
        owner("kubectl", "2026-11-29T09:00:01Z", **{"f:replicas": {}}),
        owner("helm", "2026-11-29T09:00:04Z", **{"f:template": {}}),
    ]
    metadata = {"name": "d", "managedFields": owners, "annotations": {names.ANNOTATION_REPLICAS: "2"}}
    seen = parse_deployment({"metadata": metadata, "spec": {"replicas": 5}}, None, Receipt(NOW, is_listing=False))
    assert seen.replicas == 2, "decisions depend on what was applied"
    assert seen.scaled == ForeignScale("d", 5, "kube-controller-manager")
    same = parse_deployment({"metadata": metadata, "spec": {"replicas": 2}}, None, Receipt(NOW, is_listing=False))
    assert same.scaled is None
