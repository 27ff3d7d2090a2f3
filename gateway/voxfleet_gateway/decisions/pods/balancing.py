"""Which pod of a region gets a request. Pure: pod states and the time in, a pod out.

Knows: which pods are servable and how they compare. Does not know: which region was chosen (routing.py), sockets.
"""

from collections.abc import Iterable

from voxfleet_gateway.decisions.pods.pod_state import PodState


def servable(pods: Iterable[PodState], now_seconds: float) -> list[PodState]:
    """Return the pods that may be sent a request now: ejected ones only when there are no others.

    A request that fails everywhere must not take a region away from all other requests.
    """
    able = [pod for pod in pods if pod.is_servable(now_seconds)]
    return [pod for pod in able if not pod.ejection.is_active(now_seconds)] or able


def is_failing(pods: Iterable[PodState], now_seconds: float) -> bool:
    """Whether every pod that requests may be sent to has failed and not recovered; a new pod has not."""
    return all(pod.ejection.failures for pod in servable(pods, now_seconds))


def pick_pod(pods: Iterable[PodState], now_seconds: float, draw: float) -> PodState | None:
    """Return the servable pod with the least work, or None when every one is at its limit of open requests.

    `draw`, from 0 to below 1, chooses among equals: in a fixed order the first one would get every request of a quiet
    region, however it answers.
    """
    free = [(work(pod), pod) for pod in servable(pods, now_seconds) if pod.free_requests > 0]
    least = min((amount for amount, _ in free), default=None)
    equals = [pod for amount, pod in free if amount == least]
    return equals[int(draw * len(equals))] if equals else None


def work(pod: PodState) -> tuple[int, int, int]:
    """Return what delays a new request, the greatest delay first."""
    # A silent pod reports free rows; what this gateway has sent there without an answer shows that it is not free.
    return (pod.waiting + pod.unanswered, -pod.free_rows, pod.open_requests)
