"""The API server itself rejects wrong resources with a message that names the field, and fills in defaults."""

import copy
import json
from typing import Any

import pytest
from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.errors import ApiError

NAMESPACE = "default"
PATH = f"/apis/voxfleet.dev/v1alpha1/namespaces/{NAMESPACE}/voxttsdeployments"
GOOD: dict[str, Any] = {"regions": [{"name": "eu-central"}]}


def regions(**fields: Any) -> dict[str, Any]:
    return {"regions": [{"name": "eu-central", **fields}]}


def with_regions(**fields: Any) -> dict[str, Any]:
    return {**GOOD, **fields}


# What is applied, and the words that the error must contain: the field first.
WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no regions": ({}, ["spec.regions", "Required"]),
    "empty regions": ({"regions": []}, ["spec.regions", "at least 1"]),
    "33 regions": ({"regions": [{"name": f"r{i}"} for i in range(33)]}, ["spec.regions", "32"]),
    "region twice": ({"regions": [{"name": "a"}, {"name": "a"}]}, ["spec.regions[1]", "Duplicate"]),
    "region without name": ({"regions": [{"suspend": True}]}, ["spec.regions[0].name", "Required"]),
    "region name": ({"regions": [{"name": "EU_Central"}]}, ["spec.regions[0].name", "should match"]),
    "region name too long": ({"regions": [{"name": "a" * 41}]}, ["spec.regions[0].name", "40"]),
    "regions as a map": ({"regions": {"name": "a"}}, ["spec.regions.name", "unknown field"]),
    "latitude": (regions(location={"latitude": "91", "longitude": "0"}), ["location.latitude", "-90 to 90"]),
    "latitude as number": (regions(location={"latitude": 50.1, "longitude": "0"}), ["location.latitude", "string"]),
    "latitude in words": (regions(location={"latitude": "north", "longitude": "0"}), ["location.latitude", "decimal"]),
    "longitude": (regions(location={"latitude": "0", "longitude": "-180.5"}), ["location.longitude", "-180 to 180"]),
    "longitude absent": (regions(location={"latitude": "0"}), ["location.longitude", "Required"]),
    "gatewayURL http": (regions(gatewayURL="http://eu.example.com"), ["gatewayURL", "https"]),
    "gatewayURL loopback": (regions(gatewayURL="https://127.0.0.1:6006"), ["gatewayURL", "loopback"]),
    "gatewayURL localhost": (regions(gatewayURL="https://localhost"), ["gatewayURL", "loopback"]),
    "gatewayURL link-local": (regions(gatewayURL="https://169.254.169.254/x"), ["gatewayURL", "link-local"]),
    "gatewayURL with user": (regions(gatewayURL="https://me:pw@eu.example.com"), ["gatewayURL", "user"]),
    "remote without gatewayURL": (regions(kubeConfigSecretRef={"name": "kube"}), ["gatewayURL", "required"]),
    "remote without secret name": (
        regions(kubeConfigSecretRef={"key": "value"}, gatewayURL="https://eu.example.com"),
        ["kubeConfigSecretRef.name", "Required"],
    ),
    "price": (regions(pricePerGpuHour={"spot": "cheap"}), ["pricePerGpuHour.spot", "should match"]),
    "negative price": (regions(pricePerGpuHour={"onDemand": "-1"}), ["pricePerGpuHour.onDemand", "should match"]),
    "country": (regions(allowedClients=["Germany"]), ["allowedClients[0]", "2"]),
    "country twice": (regions(allowedClients=["DE", "DE"]), ["allowedClients[1]", "Duplicate"]),
    "nodeSelector key": (regions(nodeSelector={"not a key": "x"}), ["nodeSelector", "label names"]),
    "nodeSelector value": (regions(nodeSelector={"a/b": "x y"}), ["nodeSelector", "should match"]),
    "region min above own max": (
        regions(autoscaling={"minReplicas": 3, "maxReplicas": 2}),
        ["minReplicas", "maxReplicas"],
    ),
    "region min above common max": (regions(autoscaling={"minReplicas": 9}), ["spec.regions", "minReplicas"]),
    "region idle time": (regions(autoscaling={"idleTimeoutSeconds": 4}), ["idleTimeoutSeconds", "5"]),
    "model name": (with_regions(model={"name": "a b"}), ["spec.model.name", "should match"]),
    "alias": (with_regions(model={"aliases": ["tts 1"]}), ["spec.model.aliases[0]", "should match"]),
    "alias twice": (with_regions(model={"aliases": ["tts-1", "tts-1"]}), ["spec.model.aliases[1]", "Duplicate"]),
    "voice of an alias": (with_regions(voices={"alloy": "Ada"}), ["spec.voices.alloy", "should match"]),
    "name of a voice": (with_regions(voices={"a b": "default"}), ["spec.voices", "letters, digits"]),
    "built-in voice renamed": (with_regions(voices={"default": "random"}), ["spec.voices", "no voice itself"]),
    "source scheme": (with_regions(model={"source": "ftp://x/y"}), ["spec.model.source", "hf://"]),
    "pvc without path": (with_regions(model={"source": "pvc://claim"}), ["spec.model.source", "pvc://claim/path"]),
    "pvc bad claim": (with_regions(model={"source": "pvc://Bad_Claim/x"}), ["spec.model.source", "pvc://claim/path"]),
    "file relative": (with_regions(model={"source": "file://models/x"}), ["spec.model.source", "file:///"]),
    "file climbing": (with_regions(model={"source": "file:///models/../etc"}), ["spec.model.source", ".."]),
    "revision": (with_regions(model={"revision": "-rf"}), ["spec.model.revision", "should match"]),
    "secretRef without name": (with_regions(model={"secretRef": {}}), ["spec.model.secretRef.name", "Required"]),
    "image": (with_regions(image="an image"), ["spec.image", "should match"]),
    "two gpus": (with_regions(gpu={"count": 2}), ["spec.gpu.count", "Unsupported value", "0", "1"]),
    "gpu resource": (with_regions(gpu={"resourceName": "gpu"}), ["spec.gpu.resourceName", "nvidia.com/gpu"]),
    "quantity": (with_regions(resources={"limits": {"memory": "lots"}}), ["resources.limits.memory", "should match"]),
    "spot": (with_regions(capacity={"spot": "Sometimes"}), ["spec.capacity.spot", "Preferred"]),
    "onDemandBase": (with_regions(capacity={"onDemandBase": 5}), ["spec.capacity.onDemandBase", "maxReplicas"]),
    "negative base": (with_regions(capacity={"onDemandBase": -1}), ["spec.capacity.onDemandBase", "0"]),
    "min above max": (
        with_regions(autoscaling={"minReplicas": 5, "maxReplicas": 2}),
        ["spec.autoscaling.minReplicas", "maxReplicas"],
    ),
    "max zero": (with_regions(autoscaling={"maxReplicas": 0}), ["spec.autoscaling.maxReplicas", "1"]),
    "max as text": (with_regions(autoscaling={"maxReplicas": "4"}), ["spec.autoscaling.maxReplicas", "integer"]),
    "target": (with_regions(autoscaling={"targetRequestsPerReplica": 0}), ["targetRequestsPerReplica", "1"]),
    "idle time": (with_regions(autoscaling={"idleTimeoutSeconds": 4}), ["spec.autoscaling.idleTimeoutSeconds", "5"]),
    "wake time": (with_regions(autoscaling={"wakeTimeoutSeconds": 0}), ["spec.autoscaling.wakeTimeoutSeconds", "5"]),
    "schedule cron": (
        with_regions(autoscaling={"schedules": [{"start": "at 8", "end": "0 18 * * *", "minReplicas": 1}]}),
        ["schedules[0].start", "five fields"],
    ),
    "schedule min": (
        with_regions(autoscaling={"schedules": [{"start": "0 8 * * *", "end": "0 18 * * *", "minReplicas": 9}]}),
        ["spec.autoscaling.schedules", "maxReplicas"],
    ),
    "schedule zone": (
        with_regions(
            autoscaling={"schedules": [{"start": "0 8 * * *", "end": "0 18 * * *", "timeZone": "!", "minReplicas": 1}]}
        ),
        ["schedules[0].timeZone", "should match"],
    ),
    "batch size": (with_regions(serving={"maxBatchSize": 0}), ["spec.serving.maxBatchSize", "1"]),
    "timesteps": (with_regions(serving={"inferenceTimesteps": 41}), ["spec.serving.inferenceTimesteps", "40"]),
    "cfgValue": (with_regions(serving={"cfgValue": "0.5"}), ["spec.serving.cfgValue", "from 1 to 10"]),
    "cfgValue as number": (with_regions(serving={"cfgValue": 2.0}), ["spec.serving.cfgValue", "string"]),
    "dtype": (with_regions(serving={"dtype": "int8"}), ["spec.serving.dtype", "bfloat16"]),
    "hold": (with_regions(gateway={"holdSeconds": 3601}), ["spec.gateway.holdSeconds", "3600"]),
    "cache type": (with_regions(cache={"weights": {"type": "Tape"}}), ["spec.cache.weights.type", "EmptyDir"]),
    "cache host path": (with_regions(cache={"weights": {"type": "HostPath"}}), ["cache.weights.path", "required"]),
    "cache image": (with_regions(cache={"weights": {"type": "Image"}}), ["cache.weights.image", "required"]),
    "cache read-write-once": (
        with_regions(cache={"weights": {"type": "PersistentVolumeClaim", "accessMode": "ReadWriteOnce"}}),
        ["cache.weights.accessMode", "ReadWriteMany"],
    ),
    "cache read-only": (
        with_regions(cache={"weights": {"type": "PersistentVolumeClaim", "accessMode": "ReadOnlyMany"}}),
        ["spec.cache.weights.accessMode", "ReadWriteMany"],
    ),
    "rollout": (with_regions(rollout={"strategy": "Hope"}), ["spec.rollout.strategy", "Surge"]),
    "drain": (with_regions(disruption={"drainSeconds": -1}), ["spec.disruption.drainSeconds", "0"]),
    "unavailable": (with_regions(disruption={"maxUnavailable": 0}), ["spec.disruption.maxUnavailable", "1"]),
    "notebook without TLS": (with_regions(notebook={"enabled": True}), ["spec.notebook.tlsSecretName", "TLS only"]),
    "notebook at the gateways' host": (
        with_regions(
            notebook={"enabled": True, "tlsSecretName": "tls", "host": "tts.example.com"},
            ingress={"host": "tts.example.com"},
        ),
        ["spec.notebook.host", "must not share the origin"],
    ),
    "hostnames without a Gateway": (with_regions(route={"hostnames": ["a.example.com"]}), ["spec.route.parentRefs"]),
    "wildcard inside a name": (
        with_regions(route={"parentRefs": [{"name": "public"}], "hostnames": ["a.*.example.com"]}),
        ["spec.route.hostnames[0]", "should match"],
    ),
    "no Gateways": (with_regions(route={"parentRefs": []}), ["spec.route.parentRefs", "at least 1"]),
    "class without host": (with_regions(ingress={"className": "nginx"}), ["spec.ingress.host", "required"]),
    "tls without host": (with_regions(ingress={"tlsSecretName": "tls"}), ["spec.ingress.host", "required"]),
    "our label": (
        with_regions(podTemplate={"metadata": {"labels": {"voxfleet.dev/region": "x"}}}),
        ["podTemplate.metadata.labels", "voxfleet.dev/"],
    ),
    "our variable": (
        with_regions(podTemplate={"env": [{"name": "VOXFLEET_PORT"}]}),
        ["podTemplate.env[0].name", "set by VoxFleet"],
    ),
    "two env sources": (
        with_regions(podTemplate={"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {}}}]}),
        ["podTemplate.env[0]", "not both"],
    ),
    "host path volume": (
        with_regions(podTemplate={"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}),
        ["podTemplate.volumes[0]", "exactly one source"],
    ),
    "relative mount": (
        with_regions(podTemplate={"volumeMounts": [{"name": "v", "mountPath": "data"}]}),
        ["mountPath", "should match"],
    ),
    "toleration": (
        with_regions(podTemplate={"tolerations": [{"key": "a", "effect": "Never"}]}),
        ["tolerations[0].effect", "NoSchedule"],
    ),
    "suspend as text": (with_regions(suspend="yes"), ["spec.suspend", "boolean"]),
}

GOOD_ONES: dict[str, dict[str, Any]] = {
    "smallest": GOOD,
    "cpu": with_regions(gpu={"count": 0}, serving={"dtype": "float32"}),
    "every source s3": with_regions(model={"source": "s3://bucket/prefix/x"}),
    "every source oci": with_regions(model={"source": "oci://registry.example.com:5000/voices/voxcpm:1.5"}),
    "pvc": with_regions(model={"source": "pvc://claim/path/to"}),
    "file": with_regions(model={"source": "file:///models/tiny"}),
    "remote": regions(kubeConfigSecretRef={"name": "kube"}, gatewayURL="https://eu.tts.example.com"),
    "once for one": with_regions(
        autoscaling={"maxReplicas": 1},
        cache={"weights": {"type": "PersistentVolumeClaim", "accessMode": "ReadWriteOnce"}},
    ),
    "notebook behind an Ingress": with_regions(
        notebook={"enabled": True, "tlsSecretName": "lab", "host": "lab.example.com"},
        ingress={"host": "tts.example.com", "tlsSecretName": "tls"},
    ),
    "notebook with its own TLS": with_regions(notebook={"enabled": True, "tlsSecretName": "lab"}),
    "route": with_regions(route={"parentRefs": [{"name": "public"}], "hostnames": ["*.example.com"]}),
    "route of all hosts": with_regions(route={"parentRefs": [{"name": "public", "port": 443}]}),
    "schedule": with_regions(
        autoscaling={
            "schedules": [
                {"start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "timeZone": "Europe/Berlin", "minReplicas": 2}
            ]
        }
    ),
    "region overrides": regions(autoscaling={"maxReplicas": 8, "minReplicas": 6}, allowedClients=["DE", "FR"]),
    "volumes": with_regions(
        podTemplate={
            "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}}],
            "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
        }
    ),
}


def body(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "voxfleet.dev/v1alpha1", "kind": "VoxTTSDeployment", "metadata": metadata, "spec": spec}


def create(api: Api, name: str, spec: dict[str, Any]) -> Any:
    """Create as kubectl does: unknown fields are errors; a dry run stores nothing."""
    return api.request("POST", f"{PATH}?dryRun=All&fieldValidation=Strict", body(name, spec))


def rejection(error: ApiError) -> str:
    return str(error).replace("\\\\", "\\").replace('\\"', '"')


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_resource_is_rejected_naming_the_field(case: str, api_with_crd: Api) -> None:
    spec, words = WRONG[case]
    if case == "host path volume":
        # Strict validation rejects the unknown field before the rule is evaluated.
        words = ["podTemplate.volumes[0]", "hostPath"]
    with pytest.raises(ApiError) as caught:
        create(api_with_crd, "wrong", spec)
    said = rejection(caught.value)
    assert [word for word in words if word not in said] == [], said


@pytest.mark.parametrize("name", ["Narrator", "9lives", "a" * 41, "dotted.name", "ends-"])
def test_a_wrong_name_is_rejected(name: str, api_with_crd: Api) -> None:
    with pytest.raises(ApiError, match="name"):
        create(api_with_crd, name, GOOD)


@pytest.mark.parametrize("case", GOOD_ONES)
def test_a_good_resource_is_accepted(case: str, api_with_crd: Api) -> None:
    assert create(api_with_crd, "good", GOOD_ONES[case])["spec"]["regions"]


def test_defaults_are_filled_in_by_the_api_server(api_with_crd: Api) -> None:
    spec = create(api_with_crd, "narrator", GOOD)["spec"]
    assert spec["autoscaling"]["idleTimeoutSeconds"] == 1800
    assert spec["autoscaling"]["schedules"] == []
    assert spec["serving"] == {
        "maxBatchSize": 32,
        "maxQueuedRequests": 128,
        "inferenceTimesteps": 10,
        "cfgValue": "2.0",
        "dtype": "bfloat16",
    }
    assert spec["cache"]["weights"]["type"] == "EmptyDir"
    assert spec["gpu"] == {"resourceName": "nvidia.com/gpu", "count": 1}
    assert spec["model"]["source"] == "hf://openbmb/VoxCPM1.5"
    assert spec["regions"] == [{"name": "eu-central", "suspend": False, "allowedClients": []}]


def test_the_gpu_resource_cannot_be_changed(api_with_crd: Api) -> None:
    path = f"{PATH}/fixed"
    api_with_crd.apply(path, body("fixed", GOOD))
    try:
        changed = copy.deepcopy(GOOD) | {"gpu": {"resourceName": "amd.com/gpu"}}
        with pytest.raises(ApiError, match="resourceName cannot be changed"):
            api_with_crd.apply(path, body("fixed", changed))
    finally:
        api_with_crd.delete(path)


def test_more_than_forty_wrong_resources_are_tried() -> None:
    assert len(WRONG) >= 40
    assert len({json.dumps(spec) for spec, _ in WRONG.values()}) == len(WRONG)
