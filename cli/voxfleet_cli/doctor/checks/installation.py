"""Checks of what was installed: Kubernetes, the CRD, operator, gateways, resources, images. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from voxfleet_cli.doctor.facts import (
    GATEWAY,
    OPERATOR,
    Facts,
    Finding,
    State,
    is_pod_ready,
    labels_of,
    name_of,
    where,
)
from voxfleet_cli.doctor.observed import Body

OLDEST, NEWEST = 32, 37  # minor versions of Kubernetes 1 that are supported
VERSION = "v1alpha1"
# What this command reads of a status: a definition without it is older than the command.
READ_FIELDS = ("awake", "conditions", "cost", "message", "regions", "replicas")
READ_REGION_FIELDS = ("awakeUntil", "failure", "lastWake", "message", "phase", "readyReplicas")
CRDS = "helm upgrade --install voxfleet-crds charts/voxfleet-crds -n {system}"
CHART = "helm upgrade voxfleet charts/voxfleet -n {system} --reuse-values"
DESCRIBE = "kubectl describe pods -n {system} -l app.kubernetes.io/component={component}"
IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")


def kubernetes(facts: Facts) -> Iterator[Finding]:
    """Whether this version of Kubernetes is one that VoxFleet supports."""
    version = facts.one("version") or {}
    if problem := supported_version(version):
        yield Finding("Kubernetes", State.WARNING, problem, "kubectl version")
        return
    yield Finding("Kubernetes", State.OK, f"Kubernetes {version.get('gitVersion')}")


def supported_version(version: Body) -> str:
    """Return what is wrong with a version of Kubernetes; empty for a supported one."""
    minor = re.match(r"\d+", str(version.get("minor", "")))
    if minor is None or not OLDEST <= int(minor.group()) <= NEWEST:
        found = version.get("gitVersion") or "of an unknown version"
        return f"Kubernetes {found}; 1.{OLDEST} to 1.{NEWEST} are supported"
    return ""


def _release_namespace(found: Body | None) -> str:
    """Return the namespace of the Helm release that an object is of; empty for one that Helm did not make.

    Another release of the same chart is refused by Helm, because the object is not its own.
    """
    annotations: Mapping[str, str] = ((found or {}).get("metadata") or {}).get("annotations") or {}
    return annotations.get("meta.helm.sh/release-namespace", "")


def definition(facts: Facts) -> Iterator[Finding]:
    """Whether the CRD is there, and has what this command reads."""
    found = facts.one("definition")
    command = CRDS.format(system=_release_namespace(found) or facts.system_namespace)
    if found is None:
        yield Finding("CRD", State.FAILURE, "voxttsdeployments.voxfleet.dev does not exist", command)
        return
    versions = {each["name"]: each for each in found["spec"]["versions"] if each.get("served")}
    if VERSION not in versions:
        served = ", ".join(versions) or "none"
        text = f"version {VERSION}, which this command reads, is not served (served: {served})"
        yield Finding("CRD", State.FAILURE, text, command)
        return
    if missing := missing_fields(versions[VERSION]):
        text = f"the definition is older than this command: it has no {', '.join(missing)}"
        yield Finding("CRD", State.WARNING, text, command)
        return
    yield Finding("CRD", State.OK, f"voxttsdeployments.voxfleet.dev {VERSION} has every field that this command reads")


def missing_fields(version: Body) -> list[str]:
    """Return the fields of the status that a version of the CRD does not have."""
    schema: Mapping[str, Any] = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    status = ((schema.get("properties") or {}).get("status") or {}).get("properties") or {}
    region = ((status.get("regions") or {}).get("items") or {}).get("properties") or {}
    missing = [f"status.{name}" for name in READ_FIELDS if name not in status]
    return missing + [f"status.regions[].{name}" for name in READ_REGION_FIELDS if name not in region]


def operator(facts: Facts) -> Iterator[Finding]:
    """Whether the operator runs."""
    yield from _component(facts, OPERATOR, "no reconcile happens: nothing wakes, scales or sleeps")


def gateways(facts: Facts) -> Iterator[Finding]:
    """Whether every gateway is ready, and every region has one."""
    yield from _component(facts, GATEWAY, "requests are not served")
    regions = {labels_of(pod).get("voxfleet.dev/region", "") for pod in facts.system_pods(GATEWAY)}
    if not regions or "" in regions:
        return  # one set of gateways for all regions
    for resource, region in facts.regions():
        if region["name"] not in regions:
            text = f"region {region['name']} of {name_of(resource)} has no gateway of its own"
            yield Finding("gateways", State.WARNING, text, CHART.format(system=facts.system_namespace))


def _component(facts: Facts, component: str, effect: str) -> Iterator[Finding]:
    check = "operator" if component == OPERATOR else "gateways"
    pods, system = facts.system_pods(component), facts.system_namespace
    if not pods:
        text = f"there is no {component} pod in namespace {system}, so {effect}; --system-namespace names another"
        yield Finding(check, State.FAILURE, text, f"helm install voxfleet charts/voxfleet -n {system}")
        return
    unready = [pod for pod in pods if not is_pod_ready(pod)]
    command = DESCRIBE.format(system=system, component=component)
    if len(unready) == len(pods):
        text = f"none of {len(pods)} {component} pods is ready, so {effect}: {pod_reason(unready[0])}"
        yield Finding(check, State.FAILURE, text, command)
    elif unready:
        text = f"{len(unready)} of {len(pods)} {component} pods are not ready: {pod_reason(unready[0])}"
        yield Finding(check, State.WARNING, text, command)
    else:
        yield Finding(check, State.OK, f"{len(pods)} of {len(pods)} {component} pods are ready")


def pod_reason(pod: Body) -> str:
    """Return why a pod is not ready, in Kubernetes' words."""
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting")
        if waiting:
            return f"{pod['metadata']['name']}: {waiting.get('reason', 'waiting')}"
    conditions = [each for each in status.get("conditions") or [] if each["status"] != "True"]
    named = next((each.get("reason") for each in conditions if each.get("reason")), status.get("phase", "Unknown"))
    return f"{pod['metadata']['name']}: {named}"


def resources(facts: Facts) -> Iterator[Finding]:
    """Whether every VoxTTSDeployment is Ready."""
    found = facts.items("resources")
    for resource in found:
        conditions = {each["type"]: each for each in (resource.get("status") or {}).get("conditions") or []}
        command = f"voxfleet explain {where(resource)}"
        if not conditions:
            yield Finding("resources", State.WARNING, f"{name_of(resource)} has no status yet", command)
            continue
        for kind, usual, state in (("Ready", "True", State.FAILURE), ("Degraded", "False", State.WARNING)):
            each = conditions.get(kind)
            is_waking = each is not None and each.get("reason") == "Waking"
            if each is not None and each["status"] != usual and not is_waking:
                text = f"{name_of(resource)}: {kind} is {each['status']} ({each.get('reason', '')})"
                yield Finding("resources", state, text, command)
                break
        else:
            yield Finding("resources", State.OK, f"{name_of(resource)} is ready")
    if not found:
        text = "there is no VoxTTSDeployment yet"
        yield Finding("resources", State.OK, text, "kubectl apply -f examples/quickstart.yaml")


def images(facts: Facts) -> Iterator[Finding]:
    """Whether images can be pulled."""
    pods = [*facts.items("system pods"), *facts.items("pods")]
    failing = [(pod, reason) for pod in pods if (reason := image_reason(pod))]
    for pod, reason in failing:
        text = f"pod {name_of(pod)} does not get its image: {reason}"
        yield Finding("images", State.FAILURE, text, f"kubectl describe pod {where(pod)}")
    if not failing:
        yield Finding("images", State.OK, f"none of {len(pods)} pods waits for an image that can't be pulled")


def image_reason(pod: Body) -> str:
    """Return why a pod's image is not pulled; empty where that is no problem."""
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in IMAGE_REASONS:
            return f"{waiting['reason']} of {container.get('image', 'its image')}"
    return ""
