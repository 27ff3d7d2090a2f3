"""Checks of the clusters of remote regions: Secret, reach, rights, versions, clocks, gateways, Leases. Pure."""

from collections.abc import Iterator

from voxfleet_cli.doctor.checks.access import listed
from voxfleet_cli.doctor.checks.installation import supported_version
from voxfleet_cli.doctor.checks.network import SKEW_SECONDS, lease_keys
from voxfleet_cli.doctor.facts import (
    COMPONENT_LABEL,
    GATEWAY,
    OPERATOR,
    Facts,
    Finding,
    State,
    is_pod_ready,
    labels_of,
)
from voxfleet_cli.doctor.observed import Body
from voxfleet_cli.doctor.remote_facts import RemoteCluster

CHECK = "remote clusters"
OPTIONAL_GROUPS = frozenset({"monitoring.coreos.com"})  # without its definitions no right to them is needed


def remote_clusters(facts: Facts) -> Iterator[Finding]:
    """Whether each cluster of remote regions can be used, by the operator and by clients."""
    facts.items("resources")  # which regions there are
    for cluster in facts.remotes:
        problems = [*_secret(facts, cluster), *_problems(facts, cluster)]
        yield from problems
        if not problems:
            text = f"{named(cluster)}: Kubernetes {cluster.version.get('gitVersion')}, {len(cluster.rights)} rights, "
            yield Finding(CHECK, State.OK, f"{text}gateways and Leases are there")
    if not facts.remotes:
        yield Finding(CHECK, State.OK, "no region is in another cluster")


def named(cluster: RemoteCluster) -> str:
    """Return which cluster it is, by a region and its Secret."""
    more = f" and {len(cluster.regions) - 1} more" if len(cluster.regions) > 1 else ""
    return f"the cluster of {cluster.regions[0].what}{more} (Secret {cluster.secret})"


def _secret(facts: Facts, cluster: RemoteCluster) -> Iterator[Finding]:
    namespace = cluster.regions[0].namespace
    denied = [each for each in facts.rights if each.subject == "operator's Secrets" and not each.is_allowed]
    if namespace in {each.namespace for each in denied}:
        text = f"the operator may not read Secrets in {namespace}, where the kubeconfig of {cluster.regions[0].what} is"
        upgrade = f"helm upgrade voxfleet charts/voxfleet -n {facts.system_namespace} --reuse-values"
        yield Finding(CHECK, State.FAILURE, text, f"{upgrade} --set 'secretNamespaces={{{namespace}}}'")


def _problems(facts: Facts, cluster: RemoteCluster) -> Iterator[Finding]:
    if cluster.error:
        where = cluster.regions[0]
        command = f"voxfleet explain -n {where.namespace} {where.resource}"
        state = State.WARNING if cluster.is_local_error else State.FAILURE
        from_here = "can't be used from here" if cluster.is_local_error else "can't be used"
        yield Finding(CHECK, state, f"{named(cluster)} {from_here}: {cluster.error}", command)
        return
    for each in (_version, _clock, _rights, _gateways, _versions_agree, _leases, _own_operator):
        yield from each(facts, cluster)


def _version(_: Facts, cluster: RemoteCluster) -> Iterator[Finding]:
    if problem := supported_version(cluster.version):
        yield Finding(CHECK, State.WARNING, f"{named(cluster)}: {problem}", "kubectl --context THEIRS version")


def _clock(facts: Facts, cluster: RemoteCluster) -> Iterator[Finding]:
    ahead = cluster.clock_ahead_seconds - facts.clock_ahead_seconds
    if abs(ahead) > SKEW_SECONDS:
        side = "ahead of" if ahead > 0 else "behind"
        text = f"{named(cluster)}: its API server's clock is {abs(ahead):.0f} s {side} this cluster's"
        yield Finding(CHECK, State.WARNING, f"{text}; Leases are compared by time", "timedatectl set-ntp true")


def _rights(facts: Facts, cluster: RemoteCluster) -> Iterator[Finding]:
    missing = [each for each in cluster.rights if not each.is_allowed and each.group not in OPTIONAL_GROUPS]
    if missing:
        upgrade = f"helm --kube-context THEIRS upgrade voxfleet charts/voxfleet -n {facts.system_namespace}"
        text = f"{named(cluster)}: its account may not {listed(missing)}"
        yield Finding(CHECK, State.FAILURE, text, f"{upgrade} --reuse-values --set hubAccess.enabled=true")


def _gateways(facts: Facts, cluster: RemoteCluster) -> Iterator[Finding]:
    pods = cluster.items("pods")
    if pods is None:
        return  # a right that is missing, which is another finding
    found = of_component(pods, GATEWAY)
    if not any(is_pod_ready(pod) for pod in found):
        system = facts.system_namespace
        text = f"{named(cluster)}: none of {len(found)} gateways in namespace {system} is ready; its regions can't wake"
        yield Finding(CHECK, State.FAILURE, text, f"kubectl --context THEIRS get pods -n {system}")


def _versions_agree(facts: Facts, cluster: RemoteCluster) -> Iterator[Finding]:
    here = images_of(facts.system_pods(GATEWAY))
    there = images_of(of_component(cluster.items("pods") or [], GATEWAY))
    if here and there and here != there:
        text = (
            f"{named(cluster)}: its gateways run {', '.join(sorted(there))}, this cluster's {', '.join(sorted(here))}"
        )
        upgrade = f"helm --kube-context THEIRS upgrade voxfleet charts/voxfleet -n {facts.system_namespace}"
        yield Finding(CHECK, State.WARNING, f"{text}; upgrade the older release", f"{upgrade} --reuse-values")


def _leases(facts: Facts, cluster: RemoteCluster) -> Iterator[Finding]:
    leases = cluster.items("leases")
    known = lease_keys(leases or [])
    for region in cluster.regions if leases is not None else ():
        if (region.namespace, region.resource, region.region) not in known:
            text = f"{region.what} has no Lease in {facts.demand_namespace} of its cluster: it can't wake"
            command = f"voxfleet explain -n {region.namespace} {region.resource}"
            yield Finding(CHECK, State.FAILURE, text, command)


def _own_operator(facts: Facts, cluster: RemoteCluster) -> Iterator[Finding]:
    if of_component(cluster.items("pods") or [], OPERATOR):
        names = ", ".join(sorted({f"{each.namespace}/{each.resource}" for each in cluster.regions}))
        text = f"{named(cluster)} runs an operator of its own: it must have no VoxTTSDeployment {names}"
        upgrade = f"helm --kube-context THEIRS upgrade voxfleet charts/voxfleet -n {facts.system_namespace}"
        yield Finding(CHECK, State.WARNING, text, f"{upgrade} --reuse-values --set operator.enabled=false")


def of_component(pods: list[Body], component: str) -> list[Body]:
    """Return the pods of one component."""
    return [pod for pod in pods if labels_of(pod).get(COMPONENT_LABEL) == component]


def images_of(pods: list[Body]) -> set[str]:
    """Return the versions that pods run: of each image what is behind its repository."""
    images = {each.get("image", "") for pod in pods for each in (pod.get("spec") or {}).get("containers") or []}
    return {image.rpartition("/")[2] for image in images if image}
