"""What is said and planned while a remote cluster cannot be used: its regions stay as they were, all others go on.

Knows each reason, its message with the way out, and which reasons only a person can mend. Does not know how a cluster
is reached.
"""

from dataclasses import dataclass, replace

from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.remote.recorded import SecretKey
from voxfleet_operator.decisions.timestamps import to_rfc3339, to_seconds
from voxfleet_operator.resources import Phase, RegionStatus, Resource

UNAUTHORIZED, FORBIDDEN = 401, 403
STAYS = "its servers stay as they are, and are neither woken, scaled nor put to sleep by the operator until then"


@dataclass(frozen=True, slots=True)
class Absence:
    """Why a cluster is not used; `is_lasting`: only a person can mend it; `is_first`: nothing has failed yet."""

    reason: str
    message: str
    is_lasting: bool = False
    is_first: bool = False


CONNECTING = Absence("ClusterConnecting", "the operator is connecting to its cluster", is_first=True)


def secret_forbidden(secret: SecretKey, account: str) -> Absence:
    """The operator may not read the Secret; `account`: its ServiceAccount, NAMESPACE:NAME."""
    grant = (
        f"kubectl create role voxfleet-kubeconfig -n {secret.namespace} --verb=get --resource=secrets "
        f"--resource-name={secret.name} && kubectl create rolebinding voxfleet-kubeconfig -n {secret.namespace} "
        f"--role=voxfleet-kubeconfig --serviceaccount={account}"
    )
    text = f"the operator may not read {secret}. Add {secret.namespace} to the chart's secretNamespaces, or: {grant}"
    return Absence("SecretForbidden", text, is_lasting=True)


def secret_not_found(secret: SecretKey, has_key: bool) -> Absence:  # noqa: FBT001 - which half is missing
    """The Secret or its key does not exist."""
    missing = f"{secret} does not exist" if not has_key else f"Secret {secret.namespace}/{secret.name} has no such key"
    line = f"kubectl create secret generic {secret.name} -n {secret.namespace} --from-file={secret.key}=KUBECONFIG"
    return Absence("SecretNotFound", f"{missing}; key {secret.key} is needed: {line}", is_lasting=True)


def kubeconfig_refused(secret: SecretKey, why: str) -> Absence:
    """The kubeconfig has something that is not used."""
    return Absence("KubeconfigRefused", f"the kubeconfig of {secret} is not used: {why}", is_lasting=True)


def not_served(server: str, status: int, error: str, since: float) -> Absence:
    """The cluster does not answer (status 0, 429 or 5xx), or does not accept the credentials."""
    if status in {UNAUTHORIZED, FORBIDDEN}:
        text = (
            f"cluster {server} refuses the operator: {error}. Renew the kubeconfig, or install the chart there with "
            f"hubAccess.enabled (docs/remote-regions.md); {STAYS}"
        )
        return Absence("ClusterForbidden", text, is_lasting=True)
    text = (
        f"cluster {server} is not reached since {to_rfc3339(since)}: {error}. Tried again by itself; {STAYS}. Check "
        "that API server and the network to it"
    )
    return Absence("ClusterUnreachable", text)


def plan_of_absent(name: str, before: RegionStatus | None, absence: Absence) -> RegionPlan:
    """Return the plan of a region as the status reported it last; nothing is applied by it.

    A region that was never reached is Failed: no gateway shall wait for it.
    """
    was_failed = before is None or (before.phase == Phase.FAILED and before.failure is None)
    if before is None or was_failed:
        phase = Phase.ASLEEP if absence.is_first else Phase.FAILED
        return _unknown(name, phase, absence)
    plan = RegionPlan(name, before.phase, before.desired_replicas, before.phase.value, absence.message)
    if before.failure is not None:
        plan = replace(plan, reason=before.failure.reason, failure=before.failure)
    return replace(
        plan,
        awake_until=to_seconds(before.awake_until),
        last_wake=before.last_wake,
        proven_templates=before.proven_templates or {},
    )


def _unknown(name: str, phase: Phase, absence: Absence) -> RegionPlan:
    """Return the plan of a region of which nothing is known."""
    return RegionPlan(name, phase, replicas=0, reason=absence.reason, message=absence.message)


def was_applied(resource: Resource, region: str) -> bool:
    """Whether the status shows that this generation was applied in the region: for a process that has just started."""
    before = resource.region_statuses.get(region)
    if before is None or (before.phase == Phase.FAILED and before.failure is None):
        return False
    ready = next((each for each in resource.status.conditions if each.type == "Ready"), None)
    if ready is None or ready.observed_generation != resource.generation:
        return False
    return ready.status == "True" or not ready.reason.startswith("Cluster")
