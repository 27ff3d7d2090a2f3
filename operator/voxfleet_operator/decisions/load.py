"""What all gateways say about one region, taken together.

Knows the shape of a gateway's `/internal/load`, sums what is held and takes the newest row of each pod. Load is
known only when every gateway replica and every ready pod has a fresh row. Does not know how gateways are asked.
"""

from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from voxfleet_operator.decisions.observed import SECONDS_UNTIL_STALE, LoadState, PodState
from voxfleet_operator.decisions.timestamps import to_seconds


class PodLoad(BaseModel):
    """A pod's own `/internal/load`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    state: str = ""
    message: str = ""
    open_requests: int = 0
    waiting_sequences: int = 0
    last_request_finished_at: str | None = None
    loaded_seconds: float | None = None
    warm_seconds: float | None = None


class PodRow(BaseModel):
    """A pod's load as a gateway last read it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    address: str
    namespace: str
    name: str
    region: str
    age_seconds: float
    load: PodLoad


class ModelRow(BaseModel):
    """What one gateway has of one region of one model."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    namespace: str
    name: str
    region: str
    held_requests: int = 0
    open_requests: int = 0
    predicted_wake_seconds: float | None = None
    last_request_finished_at: str | None = None


class GatewayLoad(BaseModel):
    """The answer of one gateway replica."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    gateway: str
    region: str = ""
    models: tuple[ModelRow, ...] = ()
    pods: tuple[PodRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest answer of one gateway replica, and when it came; without answer, why."""

    address: str
    received_at: float | None = None
    answer: GatewayLoad | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Readings:
    """The newest reading of every gateway replica that is ready now."""

    gateways: tuple[Reading, ...] = field(default=())


def load_of_region(  # noqa: PLR0913, PLR0917 - the region's three words, what was read, what should be there, the time
    namespace: str, name: str, region: str, readings: Readings, ready_pods: tuple[PodState, ...], now: float
) -> LoadState:
    """One region's load. Rows that are there count even when others are missing."""
    where = (namespace, name, region)
    models = [row for reading in readings.gateways for row in _models(reading) if _place(row) == where]
    newest = _newest_rows(readings, where, now)
    serving = {pod.address for pod in ready_pods}
    rows = [row for row, age_seconds in newest.values() if age_seconds < SECONDS_UNTIL_STALE and row.address in serving]
    finished = [to_seconds(row.last_request_finished_at) for row in models]
    finished += [to_seconds(row.load.last_request_finished_at) for row, _ in newest.values()]
    return LoadState(
        unknown_reason=_unknown_because(readings, newest, ready_pods, now),
        open_requests=max(sum(row.load.open_requests for row in rows), sum(row.open_requests for row in models)),
        held_requests=sum(row.held_requests for row in models),
        waiting_sequences=sum(row.load.waiting_sequences for row in rows),
        last_request_finished_at=max((at for at in finished if at is not None), default=None),
        predicted_wake_seconds=next((row.predicted_wake_seconds for row in models), None),
        loaded_seconds=next((row.load.loaded_seconds for row in rows if row.load.loaded_seconds is not None), None),
        warm_seconds=next((row.load.warm_seconds for row in rows if row.load.warm_seconds is not None), None),
    )


def _place(row: ModelRow | PodRow) -> tuple[str, str, str]:
    return row.namespace, row.name, row.region


def _models(reading: Reading) -> tuple[ModelRow, ...]:
    return reading.answer.models if reading.answer else ()


def _newest_rows(readings: Readings, where: tuple[str, str, str], now: float) -> dict[str, tuple[PodRow, float]]:
    """By pod address: the row with the least age, counted to now."""
    newest: dict[str, tuple[PodRow, float]] = {}
    for reading in readings.gateways:
        if reading.answer is None or reading.received_at is None:
            continue
        for row in reading.answer.pods:
            age_seconds = row.age_seconds + now - reading.received_at
            if _place(row) == where and age_seconds < newest.get(row.address, (row, float("inf")))[1]:
                newest[row.address] = (row, age_seconds)
    return newest


def _unknown_because(
    readings: Readings, newest: dict[str, tuple[PodRow, float]], ready_pods: tuple[PodState, ...], now: float
) -> str:
    """Empty when every gateway and every ready pod has spoken within the last 15 s."""
    if not readings.gateways:
        return "no gateway is ready"
    for reading in readings.gateways:
        if reading.received_at is None or now - reading.received_at >= SECONDS_UNTIL_STALE:
            return f"gateway {reading.address} does not answer: {reading.error or 'its last answer is too old'}"
    for pod in ready_pods:
        if pod.address not in newest or newest[pod.address][1] >= SECONDS_UNTIL_STALE:
            return f"no gateway has a fresh row of pod {pod.name} ({pod.address})"
    return ""
