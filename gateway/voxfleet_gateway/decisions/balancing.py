"""Which pod of a region gets a request. Pure: pod states and the time in, a pod out.

Knows: which pods are servable and how they compare. Does not know: which region was chosen (routing.py), sockets.
"""

from collections.abc import Iterable

from voxfleet_gateway.decisions.pod_state import PodState


def servable(pods: Iterable[PodState], now_seconds: float) -> list[PodState]:
    """Return the pods that may be sent a request now."""
    return [pod for pod in pods if pod.is_servable(now_seconds)]


def pick_pod(pods: Iterable[PodState], now_seconds: float) -> PodState | None:
    """Return the servable pod with the least work, or None when every one is at its limit of open requests."""
    free = [pod for pod in servable(pods, now_seconds) if pod.free_requests > 0]
    return min(free, key=_work, default=None)


def _work(pod: PodState) -> tuple[int, int, int, str]:
    # Waiting sequences first: they delay a new request most. The address makes the choice repeatable.
    return (pod.waiting, -pod.free_rows, pod.open_requests, pod.address.ip)
