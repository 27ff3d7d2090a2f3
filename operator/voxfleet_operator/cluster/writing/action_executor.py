"""Carries out the actions of a plan, one request each.

Knows the patch of each action, and which actions are requests to a server itself. Does not know when an action is
right (decisions/).
"""

from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from voxfleet_operator import names
from voxfleet_operator.cluster.api import KubernetesApi, NotFoundError
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.actions import (
    Action,
    ClearMark,
    ConfirmAsleep,
    Drain,
    DrainAction,
    LeaseAction,
    MarkAsleep,
    MarkRetiring,
    PodAction,
    Protect,
    RenewLease,
    Undrain,
    UnmarkRetiring,
    Unprotect,
)
from voxfleet_operator.decisions.observed import RegionState
from voxfleet_operator.decisions.timestamps import to_micro_time
from voxfleet_operator.kinds import ObjectRef
from voxfleet_operator.resources import Key

log = structlog.get_logger(__name__)


class Drainer(Protocol):
    """Asks servers to drain: at their addresses (pod_drainer.py), or through a remote API server."""

    async def drain(self, key: Key, address: str, *, is_on: bool) -> None:
        """Ask one server to drain, or to serve on; one that does not answer is no error."""


@dataclass(slots=True)
class ActionExecutor:
    """Executes actions for one region at a time."""

    api: KubernetesApi
    store: Store
    demand_namespace: str
    drainer: Drainer

    async def execute(self, key: Key, observed: RegionState, action: Action, now: float) -> None:
        """Carry out one action. Raises KubernetesError; a pod that is gone or does not answer is no error."""
        match action:
            case Drain() | Undrain():
                await self._drain(key, action)
            case MarkRetiring() | UnmarkRetiring() | Protect() | Unprotect():
                await self._patch_pod(action)
            case _:
                await self._patch_lease(key, observed, action, now)

    async def _patch_lease(self, key: Key, observed: RegionState, action: LeaseAction, now: float) -> None:
        """Patch the demand Lease; without one there is nothing to patch.

        The observed resourceVersion is the patch's precondition: a gateway's renewal since the decision raises
        ConflictError.
        """
        if observed.lease is None:
            return
        patch = _lease_patch(action, now)
        patch["metadata"] = patch.get("metadata", {}) | {"resourceVersion": observed.lease.resource_version}
        ref = ObjectRef("Lease", self.demand_namespace, names.lease_name(key.namespace, key.name, observed.name))
        self.store.on_applied("Lease", await self.api.merge(ref.path, patch))

    async def _patch_pod(self, action: PodAction) -> None:
        ref = ObjectRef("Pod", action.pod.namespace, action.pod.name)
        patch = {"metadata": {"annotations": _pod_annotations(action)}}
        try:
            self.store.on_applied("Pod", await self.api.merge(ref.path, patch))
        except NotFoundError:
            log.info("pod is gone", pod=ref.name, namespace=ref.namespace)

    async def _drain(self, key: Key, action: DrainAction) -> None:
        is_on = isinstance(action, Drain)
        log.info("drain" if is_on else "drain ended", pod=action.pod.name, resource=str(key))
        await self.drainer.drain(key, action.address, is_on=is_on)


def _pod_annotations(action: PodAction) -> dict[str, str | None]:
    # null removes a key (RFC 7386)
    match action:
        case MarkRetiring(_, deletion_cost, at):
            return {
                names.ANNOTATION_RETIRING_SINCE: to_micro_time(at),
                names.ANNOTATION_DELETION_COST: str(deletion_cost),
            }
        case UnmarkRetiring():
            return {names.ANNOTATION_RETIRING_SINCE: None, names.ANNOTATION_DELETION_COST: None}
        case Protect():
            return dict(names.PROTECTION)
        case Unprotect():
            return dict.fromkeys(names.PROTECTION)


def _lease_patch(action: LeaseAction, now: float) -> dict[str, Any]:
    match action:
        case MarkAsleep():
            return _marked(to_micro_time(now))
        case ConfirmAsleep():
            # The precondition alone: the API server checks it although nothing changes, and writes nothing.
            return {}
        case ClearMark(with_sleep_request):
            patch = _marked(None)
            if with_sleep_request:
                patch["metadata"]["annotations"][names.ANNOTATION_SLEEP_AT] = None
            return patch
        case RenewLease(renew_to):
            renewal = {"renewTime": to_micro_time(renew_to), "holderIdentity": names.FIELD_MANAGER}
            return _marked(None) | {"spec": renewal}


def _marked(marked_at: str | None) -> dict[str, Any]:
    # null removes a key (RFC 7386)
    return {"metadata": {"annotations": {names.ANNOTATION_ASLEEP_SINCE: marked_at}}}
