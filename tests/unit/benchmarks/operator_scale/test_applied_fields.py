"""What a manager applied, read back from an object with the API server's defaults and another manager's fields."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[4] / "benchmarks" / "operator_scale" / "applied_fields.py"
APPLIED = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "narrator", "namespace": "default", "labels": {"app": "x"}},
    "spec": {
        "type": "ClusterIP",
        "selector": {"app": "x"},
        "ports": [{"port": 6006, "protocol": "TCP", "name": "http"}],
        "ipFamilies": ["IPv4"],
    },
}
FIELDS = {
    "f:metadata": {"f:labels": {"f:app": {}}},
    "f:spec": {
        "f:type": {},
        "f:selector": {},
        "f:ports": {'k:{"port":6006,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:name": {}}},
        "f:ipFamilies": {'v:"IPv4"': {}},
    },
}
LIVE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "narrator",
        "namespace": "default",
        "uid": "1",
        "labels": {"app": "x", "theirs": "y"},
        "managedFields": [
            {"manager": "operator", "operation": "Apply", "fieldsV1": FIELDS},
            {"manager": "operator", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {}}},
            {"manager": "other", "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:theirs": {}}}}},
        ],
    },
    "spec": {
        "type": "ClusterIP",
        "clusterIP": "10.0.0.1",
        "selector": {"app": "x"},
        "ports": [
            {"port": 6007, "protocol": "TCP", "targetPort": 6007},
            {"port": 6006, "protocol": "TCP", "name": "http", "targetPort": 6006},
        ],
        "ipFamilies": ["IPv4", "IPv6"],
        "sessionAffinity": "None",
    },
    "status": {"loadBalancer": {}},
}


@pytest.fixture(scope="module")
def module() -> Any:
    spec = importlib.util.spec_from_file_location("applied_fields", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_the_body_is_what_the_manager_applied(module: Any) -> None:
    assert module.applied_body(LIVE, "operator") == APPLIED


def test_an_object_of_another_manager_is_an_error_with_its_name(module: Any) -> None:
    with pytest.raises(KeyError, match="Service narrator: nothing was applied by stranger"):
        module.applied_body(LIVE, "stranger")
