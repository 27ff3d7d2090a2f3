"""Checks of what servers need: nodes of the regions, GPUs, spot, an autoscaler, storage. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from voxfleet_cli.doctor.facts import Facts, Finding, NotReadError, State, labels_of, name_of, where
from voxfleet_cli.doctor.observed import Body

REGION_LABEL = "topology.kubernetes.io/region"
GPU = "nvidia.com/gpu"
DEVICE_CLASS = "deviceclass.resource.kubernetes.io/"
# As platforms mark spot nodes; the operator's own table, which a test compares.
SPOT_LABELS: dict[str, tuple[str, ...]] = {
    "karpenter.sh/capacity-type": ("spot",),
    "eks.amazonaws.com/capacityType": ("SPOT",),
    "cloud.google.com/gke-spot": ("true",),
    "cloud.google.com/gke-provisioning": ("spot", "preemptible"),
    "cloud.google.com/gke-preemptible": ("true",),
    "kubernetes.azure.com/scalesetpriority": ("spot",),
    "voxfleet.dev/capacity-type": ("spot",),
}
KARPENTER_CAPACITY = "karpenter.sh/capacity-type"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
PLUGIN = (
    "helm install nvidia-device-plugin nvdp/nvidia-device-plugin -n nvidia-device-plugin --create-namespace "
    "--set gfd.enabled=true"
)


def selector_of(region: Body) -> Mapping[str, str]:
    """Return the labels of a region's nodes."""
    return region.get("nodeSelector") or {REGION_LABEL: region["name"]}


def nodes_of(facts: Facts, region: Body) -> list[Body]:
    """Return the nodes of a region that take pods."""
    wanted = selector_of(region).items()
    return [
        node
        for node in facts.items("nodes")
        if wanted <= labels_of(node).items() and not (node.get("spec") or {}).get("unschedulable")
    ]


def autoscaler_of(facts: Facts) -> str:
    """Return which autoscaler is there; empty for none, and where that can't be read."""
    try:
        if facts.items("node pools"):
            return "Karpenter"
        return "cluster autoscaler" if facts.one("cluster autoscaler") else ""
    except NotReadError:
        return ""


def region_nodes(facts: Facts) -> Iterator[Finding]:
    """Whether each region has nodes with its labels."""
    scaler = autoscaler_of(facts)
    for resource, region in facts.regions():
        count, about = len(nodes_of(facts, region)), f"region {region['name']} of {name_of(resource)}"
        text = ",".join(f"{key}={value}" for key, value in selector_of(region).items())
        if count:
            yield Finding("region nodes", State.OK, f"{about}: {count} nodes with {text}")
        elif scaler:
            text = f"{about}: no node has {text} now; {scaler} must be able to make one"
            yield Finding("region nodes", State.WARNING, text, "kubectl get nodepools,nodes --show-labels")
        else:
            assigned = text.replace(",", " ")
            yield Finding(
                "region nodes",
                State.FAILURE,
                f"{about}: no node has {text}, so no server can start",
                f"kubectl label node NODE {assigned}",
            )


def gpus(facts: Facts) -> Iterator[Finding]:
    """Whether nodes of each region offer the extended resource that its servers ask for."""
    scaler = autoscaler_of(facts)
    for resource, region in facts.regions():
        gpu = resource["spec"].get("gpu") or {}
        about = f"region {region['name']} of {name_of(resource)}"
        if gpu.get("count", 1) == 0:
            yield Finding("GPUs", State.OK, f"{about}: its servers use no GPU (gpu.count: 0)")
        else:
            yield _offered(about, gpu.get("resourceName") or GPU, nodes_of(facts, region), scaler)


def _offered(about: str, wanted: str, nodes: list[Body], scaler: str) -> Finding:
    if wanted.startswith(DEVICE_CLASS):
        text = f"{about}: {wanted} is offered by DRA, which no node's allocatable shows"
        return Finding("GPUs", State.NOT_CHECKED, text, "kubectl get resourceslices")
    if offered := sum(allocatable(node, wanted) for node in nodes):
        return Finding("GPUs", State.OK, f"{about}: {offered} {wanted} on {len(nodes)} nodes")
    state = State.WARNING if scaler else State.FAILURE
    if nodes:
        text = f"{about}: none of its {len(nodes)} nodes offers {wanted}: driver or device plugin is missing"
        return Finding("GPUs", state, text, PLUGIN)
    way = (
        f"no node is there now; {scaler} must make one with {wanted}" if scaler else f"it has no nodes, so no {wanted}"
    )
    return Finding("GPUs", state, f"{about}: {way}", f"kubectl get nodes -L {REGION_LABEL}")


def allocatable(node: Body, resource: str) -> int:
    """Return how much of an extended resource a node offers; a DRA class may be counted elsewhere."""
    written = str(((node.get("status") or {}).get("allocatable") or {}).get(resource, "0"))
    return int(written) if written.isdigit() else 0


def autoscaler(facts: Facts) -> Iterator[Finding]:
    """Whether an autoscaler adds and removes nodes."""
    pools = facts.items("node pools")
    if pools:
        yield Finding("autoscaler", State.OK, f"Karpenter with {len(pools)} NodePools")
    elif facts.one("cluster autoscaler"):
        yield Finding("autoscaler", State.OK, "cluster autoscaler")
    else:
        text = "no sign of Karpenter or cluster autoscaler: nodes of sleeping regions stay, and no new ones come"
        yield Finding("autoscaler", State.WARNING, text, "kubectl get pods -A | grep -i -E 'karpenter|autoscaler'")


def spot(facts: Facts) -> Iterator[Finding]:
    """Whether spot nodes exist or can be made, where a resource asks for them."""
    asking = [
        each
        for each in facts.items("resources")
        if (each["spec"].get("capacity") or {}).get("spot", "Never") != "Never"
    ]
    if not asking:
        yield Finding("spot", State.OK, "no resource asks for spot nodes")
        return
    standing = [node for node in facts.items("nodes") if is_spot(node)]
    pools = [pool for pool in facts.items("node pools") if offers_spot(pool)]
    for resource in asking:
        mode = resource["spec"]["capacity"]["spot"]
        if standing or pools:
            text = f"{name_of(resource)} ({mode}): {len(standing)} spot nodes, {len(pools)} NodePools that make them"
            yield Finding("spot", State.OK, text)
            continue
        text = f"{name_of(resource)} asks for spot nodes ({mode}), and no node or NodePool has a spot label"
        state = State.FAILURE if mode == "Required" else State.WARNING
        yield Finding("spot", state, text, "kubectl label node NODE voxfleet.dev/capacity-type=spot")


def is_spot(node: Body) -> bool:
    """Whether a node is marked as a spot node by any platform."""
    labels = labels_of(node)
    return any(labels.get(key) in values for key, values in SPOT_LABELS.items())


def offers_spot(pool: Body) -> bool:
    """Whether a Karpenter NodePool may make spot nodes."""
    spec: Any = ((pool.get("spec") or {}).get("template") or {}).get("spec") or {}
    rules = [each for each in spec.get("requirements") or [] if each.get("key") == KARPENTER_CAPACITY]
    return any(each.get("operator") == "In" and "spot" in (each.get("values") or []) for each in rules)


def storage(facts: Facts) -> Iterator[Finding]:
    """Whether claims for weights are bound, and can be."""
    classes = {each["metadata"]["name"]: is_default(each) for each in facts.items("storage classes")}
    needing = [each for each in facts.items("resources") if weights_of(each).get("type") == "PersistentVolumeClaim"]
    problems = [*_unbound(facts), *(found for each in needing if (found := _class_problem(each, classes)))]
    yield from problems
    if not problems:
        default = next((name for name, is_one in classes.items() if is_one), "none")
        kept = (
            f"{len(needing)} resources keep weights in claims; StorageClasses: {len(classes)}, the default: {default}"
        )
        yield Finding("storage", State.OK, kept if needing else "no resource keeps weights in a claim")


def _unbound(facts: Facts) -> Iterator[Finding]:
    for claim in facts.items("claims"):
        phase = (claim.get("status") or {}).get("phase", "Pending")
        if phase != "Bound":
            text = f"claim {name_of(claim)} is {phase}"
            yield Finding("storage", State.WARNING, text, f"kubectl describe pvc {where(claim)}")


def _class_problem(resource: Body, classes: Mapping[str, bool]) -> Finding | None:
    weights = weights_of(resource)
    wanted, known = weights.get("storageClassName") or "", ", ".join(sorted(classes)) or "none"
    if weights.get("claimName") or wanted in classes or (not wanted and any(classes.values())):
        return None
    text = f"{name_of(resource)} names StorageClass {wanted}, which does not exist (existing: {known})"
    if not wanted:
        text = f"{name_of(resource)} names no storageClassName, and none is the cluster's default (existing: {known})"
    return Finding("storage", State.FAILURE, text, f"kubectl edit vtts {where(resource)}")


def is_default(storage_class: Body) -> bool:
    """Whether a StorageClass is the cluster's default."""
    return (storage_class["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"


def weights_of(resource: Body) -> Mapping[str, Any]:
    """Return `spec.cache.weights`."""
    return (resource["spec"].get("cache") or {}).get("weights") or {}
