"""The checks, in the order of the report: each a pure function of what was observed."""

from collections.abc import Callable, Iterator

from voxfleet_cli.doctor.checks import access, capacity, installation, network
from voxfleet_cli.doctor.checks.remote_clusters import remote_clusters
from voxfleet_cli.doctor.checks.zones import zone
from voxfleet_cli.doctor.facts import Facts, Finding, NotReadError, State

Check = Callable[[Facts], Iterator[Finding]]

CHECKS: dict[str, Check] = {
    "Kubernetes": installation.kubernetes,
    "CRD": installation.definition,
    "operator": installation.operator,
    "gateways": installation.gateways,
    "resources": installation.resources,
    "images": installation.images,
    "region nodes": capacity.region_nodes,
    "GPUs": capacity.gpus,
    "autoscaler": capacity.autoscaler,
    "spot": capacity.spot,
    "storage": capacity.storage,
    "operator's rights": access.operator_rights,
    "your rights": access.user_rights,
    "API keys": access.api_keys,
    "clocks": network.clocks,
    "demand Leases": network.demand_leases,
    "DNS": network.dns,
    "DNS zone": zone,
    "remote clusters": remote_clusters,
    "NetworkPolicies": network.policies,
}


def examine(facts: Facts) -> list[Finding]:
    """Return the findings of all checks; a check whose facts can't be read says so."""
    return [finding for name, check in CHECKS.items() for finding in _examined(name, check, facts)]


def _examined(name: str, check: Check, facts: Facts) -> list[Finding]:
    try:
        return [*check(facts)]
    except NotReadError as error:
        return [Finding(name, State.NOT_CHECKED, str(error))]
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:  # one odd object must not hide all other findings
        return [Finding(name, State.NOT_CHECKED, f"an object is not of the expected form: {type(error).__name__}")]


def worst(findings: list[Finding]) -> State:
    """Return the state that decides the exit code."""
    states = {finding.state for finding in findings}
    return next((state for state in (State.FAILURE, State.WARNING) if state in states), State.OK)
