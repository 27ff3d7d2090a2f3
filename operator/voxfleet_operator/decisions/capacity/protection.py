"""Decides which pods ask autoscalers to leave their node as it is.

A pod is created with the annotations (manifests/pods/pod.py), so that it is not moved while it loads. They are removed
when it has had no open request for a while, and put on again with the next one: a pod in steady use costs no write at
all, an idle one costs one. Knows Karpenter's and the cluster autoscaler's rule: only a pod without the annotation is
moved, and a Karpenter node that ends waits for pods with it. Does not know the annotations (names.py).
"""

from voxfleet_operator.decisions.actions import Action, Protect, Unprotect
from voxfleet_operator.decisions.observed import PodLoadState, PodState, RegionState

# At most one pair of writes per pod and this time, however often requests come; less than the ten minutes after which
# the cluster autoscaler removes an unneeded node by default.
QUIET_SECONDS = 300.0


def protections(observed: RegionState, now: float) -> tuple[Action, ...]:
    """Return the changes of annotations that are due; none while the load that they depend on is unknown."""
    loads = {load.address: load for load in observed.load.pods}
    changes = (_change(pod, loads.get(pod.address), now) for pod in observed.active_pods)
    return tuple(change for change in changes if change is not None)


def _change(pod: PodState, load: PodLoadState | None, now: float) -> Action | None:
    is_loading = not pod.is_ready and not pod.is_outgoing
    is_busy = is_loading or (load is not None and load.open_requests > 0)
    if is_busy:
        return None if pod.is_protected else Protect(pod.ref)
    if not pod.is_protected or load is None:
        return None
    # A pod that leaves and has nothing open holds up the end of its node.
    return Unprotect(pod.ref) if pod.is_outgoing or now - _used_at(pod, load) >= QUIET_SECONDS else None


def _used_at(pod: PodState, load: PodLoadState) -> float:
    return max(pod.created_at, pod.ready_at or 0.0, load.last_request_finished_at or 0.0)
