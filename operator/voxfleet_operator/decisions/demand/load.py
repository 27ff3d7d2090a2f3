"""Combines the load readings of all gateways into the load of one region.

Knows the schema of a gateway's `/internal/load`, sums held requests and takes the newest row of each pod. Load is
known only when every gateway replica and every ready pod has a fresh row. Does not know how gateways are polled.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from voxfleet_operator.decisions.observed import (
    SECONDS_UNTIL_STALE,
    LoadState,
    PodLoadState,
    PodState,
    StartUpState,
)
from voxfleet_operator.decisions.timestamps import to_seconds


def _usable(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Return None for a value of another form, so that one pod does not make the whole answer unreadable."""
    try:
        return handler(value)
    except ValidationError:
        return None


# Gateways pass these on as the pod sent them, and the pod's image is its resource's author's.
UncheckedSeconds = Annotated[Annotated[float, Field(ge=0, allow_inf_nan=False)] | None, WrapValidator(_usable)]
UncheckedText = Annotated[str | None, WrapValidator(_usable)]


class PodLoad(BaseModel):
    """A pod's own `/internal/load`."""

    model_config = ConfigDict(extra="ignore", frozen=True)  # a newer gateway may send more fields

    state: str = ""
    message: str = ""
    open_requests: int = 0
    waiting_sequences: int = 0
    last_request_finished_at: UncheckedText = None
    process_seconds: UncheckedSeconds = None
    loaded_seconds: UncheckedSeconds = None
    warm_seconds: UncheckedSeconds = None
    ready_age_seconds: UncheckedSeconds = None


class PodRow(BaseModel):
    """A pod's load as a gateway last polled it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    address: str
    namespace: str
    name: str
    region: str
    age_seconds: float
    load: PodLoad


class ModelRow(BaseModel):
    """One gateway's requests for one region of one model."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    namespace: str
    name: str
    region: str
    held_requests: int = 0
    open_requests: int = 0
    predicted_wake_seconds: float | None = None
    last_request_finished_at: str | None = None


class GatewayLoad(BaseModel):
    """The response of one gateway replica."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    gateway: str
    region: str = ""
    models: tuple[ModelRow, ...] = ()
    pods: tuple[PodRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest answer of one gateway replica, when it was received, and the error of the newest attempt."""

    address: str
    received_at: float | None = None
    answer: GatewayLoad | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Readings:
    """The newest reading of every gateway replica that is ready now."""

    gateways: tuple[Reading, ...] = field(default=())


def load_of_region(  # noqa: PLR0913, PLR0917 - three parts of a region's name, the readings, the expected pods, the time
    namespace: str, name: str, region: str, readings: Readings, ready_pods: tuple[PodState, ...], now: float
) -> LoadState:
    """Return one region's load. Present rows count even when others are missing: load only keeps a region awake."""
    name_of_region = (namespace, name, region)
    models = [row for reading in readings.gateways for row in _models(reading) if _region_of(row) == name_of_region]
    newest = _newest_rows(readings, name_of_region, now)
    serving = {pod.address for pod in ready_pods}
    known = [(row, age) for row, age in newest.values() if row.address in serving]
    fresh = [(row, age) for row, age in known if age < SECONDS_UNTIL_STALE]
    rows = [row for row, _ in fresh]
    finished = [to_seconds(row.last_request_finished_at) for row in models]
    finished += [to_seconds(row.load.last_request_finished_at) for row, _ in newest.values()]
    described = [reading.received_at for reading in readings.gateways if reading.received_at is not None]
    described += [now - age for _, age in known]
    return LoadState(
        unknown_reason=_unknown_reason(readings, newest, ready_pods, now),
        as_of=min(described, default=None),
        # Those of pods that drain too: they are not ready, and their open requests end there.
        pods=tuple(_pod_load(row, now - age) for row, age in newest.values() if age < SECONDS_UNTIL_STALE),
        # A gateway counts a request before it reaches a pod, and rows of pods may be older: the larger sum is right.
        open_requests=max(sum(row.load.open_requests for row in rows), sum(row.open_requests for row in models)),
        held_requests=sum(row.held_requests for row in models),
        waiting_sequences=sum(row.load.waiting_sequences for row in rows),
        last_request_finished_at=max((at for at in finished if at is not None), default=None),
        predicted_wake_seconds=next((row.predicted_wake_seconds for row in models), None),
    )


def _pod_load(row: PodRow, as_of: float) -> PodLoadState:
    load = row.load
    return PodLoadState(
        row.address,
        as_of,
        load.open_requests,
        load.waiting_sequences,
        _start_up(load, as_of),
        state=load.state,
        last_request_finished_at=to_seconds(load.last_request_finished_at),
    )


def _start_up(load: PodLoad, as_of: float) -> StartUpState | None:
    """Return the parts of a server's start; None before it is ready, and from images that do not report them."""
    parts = (load.process_seconds, load.loaded_seconds, load.warm_seconds, load.ready_age_seconds)
    if any(part is None for part in parts):
        return None
    process, loaded, warm, ready_age = (part or 0.0 for part in parts)
    return StartUpState(process, loaded, warm, ready_at=as_of - ready_age)


def _region_of(row: ModelRow | PodRow) -> tuple[str, str, str]:
    return row.namespace, row.name, row.region


def _models(reading: Reading) -> tuple[ModelRow, ...]:
    return reading.answer.models if reading.answer else ()


def _newest_rows(readings: Readings, region: tuple[str, str, str], now: float) -> dict[str, tuple[PodRow, float]]:
    """Return the youngest row of each pod, by pod address, and its age now in seconds."""
    newest: dict[str, tuple[PodRow, float]] = {}
    for reading in readings.gateways:
        if reading.answer is None or reading.received_at is None:
            continue
        for row in reading.answer.pods:
            age_seconds = row.age_seconds + now - reading.received_at
            if _region_of(row) == region and age_seconds < newest.get(row.address, (row, float("inf")))[1]:
                newest[row.address] = (row, age_seconds)
    return newest


def _unknown_reason(
    readings: Readings, newest: dict[str, tuple[PodRow, float]], ready_pods: tuple[PodState, ...], now: float
) -> str:
    """Return an empty string when every gateway and every ready pod has a row younger than 15 s."""
    if not readings.gateways:
        return "no gateway is ready"
    for reading in readings.gateways:
        if reading.received_at is None or now - reading.received_at >= SECONDS_UNTIL_STALE:
            return f"gateway {reading.address} does not answer: {reading.error or 'its last answer is too old'}"
    for pod in ready_pods:
        if pod.address not in newest or newest[pod.address][1] >= SECONDS_UNTIL_STALE:
            return f"no gateway has a fresh row of pod {pod.name} ({pod.address})"
    return ""
