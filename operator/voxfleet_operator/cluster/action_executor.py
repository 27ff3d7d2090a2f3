"""Carries out the actions of a plan, one request each.

Knows the patch of each action. Does not know when an action is right (decisions/).
"""

from dataclasses import dataclass
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.cluster.api import KubernetesApi
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.actions import Action, ClearMark, ConfirmAsleep, MarkAsleep, RenewLease
from voxfleet_operator.decisions.observed import RegionState
from voxfleet_operator.decisions.timestamps import to_micro_time
from voxfleet_operator.kinds import ObjectRef
from voxfleet_operator.resources import Key


@dataclass(slots=True)
class ActionExecutor:
    """Executes actions for one region at a time."""

    api: KubernetesApi
    store: Store
    demand_namespace: str

    async def execute(self, key: Key, observed: RegionState, action: Action, now: float) -> None:
        """Carry out one action; without a Lease there is nothing to patch.

        The observed resourceVersion is the patch's precondition: a gateway's renewal since the decision raises
        ConflictError. Raises KubernetesError.
        """
        if observed.lease is None:
            return
        patch = _lease_patch(action, now)
        patch["metadata"] = patch.get("metadata", {}) | {"resourceVersion": observed.lease.resource_version}
        ref = ObjectRef("Lease", self.demand_namespace, names.lease_name(key.namespace, key.name, observed.name))
        self.store.on_applied("Lease", await self.api.merge(ref.path, patch))


def _lease_patch(action: Action, now: float) -> dict[str, Any]:
    match action:
        case MarkAsleep():
            return _marked(to_micro_time(now))
        case ConfirmAsleep():
            # The precondition alone: the API server checks it although nothing changes, and writes nothing.
            return {}
        case ClearMark():
            return _marked(None)
        case RenewLease(renew_to):
            renewal = {"renewTime": to_micro_time(renew_to), "holderIdentity": names.FIELD_MANAGER}
            return _marked(None) | {"spec": renewal}


def _marked(marked_at: str | None) -> dict[str, Any]:
    # null removes a key (RFC 7386)
    return {"metadata": {"annotations": {names.ANNOTATION_ASLEEP_SINCE: marked_at}}}
