"""Checks between the parts: clocks, demand Leases, DNS, NetworkPolicies. Pure."""

from collections.abc import Iterator
from datetime import datetime

from voxfleet_cli.doctor.facts import DNS, Facts, Finding, State, is_pod_ready, labels_of, name_of, where
from voxfleet_cli.doctor.observed import Body

SKEW_SECONDS = 5.0  # what the operator tolerates
GATEWAY_SERVICE = "voxfleet-gateway"


def clocks(facts: Facts) -> Iterator[Finding]:
    """Whether this machine's clock and those of the gateways agree with the API server's."""
    ahead = facts.clock_ahead_seconds
    if abs(ahead) > SKEW_SECONDS:
        side = "behind" if ahead > 0 else "ahead of"
        text = f"this machine's clock is {abs(ahead):.0f} s {side} the API server's; commands use the API server's"
        yield Finding("clocks", State.WARNING, text, "timedatectl set-ntp true")
    for lease in facts.items("leases"):
        spec = lease.get("spec") or {}
        renewed = _seconds(spec.get("renewTime"))
        if renewed is not None and renewed > facts.now + SKEW_SECONDS:
            writer = spec.get("holderIdentity") or "its writer"
            text = f"the clock of {writer} is {renewed - facts.now:.0f} s ahead of the API server's"
            yield Finding("clocks", State.WARNING, text, f"kubectl get pod -A -o wide | grep {writer}")
            return
    if abs(ahead) <= SKEW_SECONDS:
        yield Finding("clocks", State.OK, "they agree within a few seconds")


def _seconds(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except ValueError:
        return None


def demand_leases(facts: Facts) -> Iterator[Finding]:
    """Whether each region has the Lease by which it is woken."""
    known = lease_keys(facts.items("leases"))
    regions = [*facts.regions()]
    missing = [
        (resource, region)
        for resource, region in regions
        if (resource["metadata"]["namespace"], resource["metadata"]["name"], region["name"]) not in known
    ]
    for resource, region in missing:
        text = f"region {region['name']} of {name_of(resource)} has no Lease in {facts.demand_namespace}: it can't wake"
        yield Finding("demand Leases", State.FAILURE, text, f"voxfleet explain {where(resource)}")
    if not missing:
        yield Finding("demand Leases", State.OK, f"each of {len(regions)} regions has its Lease")


def lease_keys(leases: list[Body]) -> set[tuple[str, ...]]:
    """Return namespace, resource and region of each demand Lease."""
    parts = ("namespace", "deployment", "region")
    return {tuple(labels_of(lease).get(f"voxfleet.dev/{part}", "") for part in parts) for lease in leases}


def dns(facts: Facts) -> Iterator[Finding]:
    """Whether names lead somewhere: the gateways' Service, gatewayURLs, the DNS servers of the chart."""
    problems = [*_services(facts), *_servers(facts)]
    for host, error in facts.resolved.items():
        if error:
            text = f"the gatewayURL host {host} does not resolve from here: {error}"
            problems.append(Finding("DNS", State.WARNING, text, f"dig {host}"))
    yield from problems
    if not problems:
        hosts, servers = len(facts.resolved), len(facts.system_pods(DNS))
        named = f"{hosts} hosts of gatewayURLs resolve" if hosts else "no region has a gatewayURL"
        served = f"{servers} DNS servers are ready" if servers else "no DNS servers run here (the chart's dns.enabled)"
        yield Finding("DNS", State.OK, f"{named}; {served}")


def _services(facts: Facts) -> Iterator[Finding]:
    services, system = (
        {each["metadata"]["name"]: each for each in facts.items("system services")},
        facts.system_namespace,
    )
    if not any(name.startswith(GATEWAY_SERVICE) for name in services):
        text = f"namespace {system} has no Service {GATEWAY_SERVICE}, to which every resource's own Service points"
        yield Finding("DNS", State.FAILURE, text, f"helm upgrade voxfleet charts/voxfleet -n {system} --reuse-values")
    service = services.get("voxfleet-dns")
    if service is None or service["spec"].get("type") != "LoadBalancer":
        return
    if not ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress"):
        text = "the DNS servers' Service has no external address yet, so no zone can delegate to them"
        yield Finding("DNS", State.WARNING, text, f"kubectl describe service voxfleet-dns -n {system}")


def _servers(facts: Facts) -> Iterator[Finding]:
    servers = facts.system_pods(DNS)
    if unready := [pod for pod in servers if not is_pod_ready(pod)]:
        text = f"{len(unready)} of {len(servers)} DNS servers are not ready"
        command = f"kubectl describe pods -n {facts.system_namespace} -l app.kubernetes.io/component=dns"
        yield Finding("DNS", State.WARNING, text, command)


def policies(facts: Facts) -> Iterator[Finding]:
    """Whether the internal ports of servers are closed to others by a NetworkPolicy."""
    found = {
        (each["metadata"]["namespace"], labels_of(each).get("voxfleet.dev/deployment"))
        for each in facts.items("network policies")
    }
    resources = facts.items("resources")
    missing = [each for each in resources if (each["metadata"]["namespace"], each["metadata"]["name"]) not in found]
    for resource in missing:
        text = f"{name_of(resource)} has no NetworkPolicy; its token alone protects its servers' internal port"
        yield Finding("NetworkPolicies", State.WARNING, text, f"voxfleet explain {where(resource)}")
    if not missing:
        yield Finding("NetworkPolicies", State.OK, f"each of {len(resources)} resources has one")
