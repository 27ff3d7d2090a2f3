"""What GET /v1/fleet and its stream of events send: the pydantic models are the contract with the page.

Knows: names and meanings of the fields. Does not know: where their values come from (rows.py).
docs/fleet-page.md describes them; scripts/api-types makes the page's TypeScript types of them.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from voxfleet_gateway.decisions.fleet.phase import KnownBy
from voxfleet_gateway.decisions.fleet.pools import Pool
from voxfleet_gateway.decisions.fleet.wake_progress import WakePart
from voxfleet_gateway.regions import CostEntry, Phase

FLEET_PATH, EVENTS_PATH = "/v1/fleet", "/v1/fleet/events"


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


class Place(_Sent):
    """A point on the globe, in degrees."""

    latitude: float
    longitude: float


class PoolServers(_Sent):
    """Servers of one pool; `unknown`: of pods whose names say no pool."""

    pool: Pool
    ready: int = 0
    starting: int = 0
    draining: int = 0


class WakePartState(_Sent):
    """One part of a wake, in the order in which they follow one another."""

    name: WakePart
    state: Literal["done", "current", "pending"]
    seconds: float | None = Field(description="How long it took, where its beginning and its end were observed.")
    expected_seconds: float | None = Field(description="How long it took in the last wake.")


class WakeState(_Sent):
    """The wake that is under way."""

    started_at: datetime | None = Field(
        description="Null: another gateway has asked for it, and the operator is silent."
    )
    expected_seconds: float = Field(description="Of the whole wake, by earlier ones.")
    parts: tuple[WakePartState, ...]


class FleetRegion(_Sent):
    """One region of one model, as this gateway knows it."""

    namespace: str
    name: str = Field(description="Name of the VoxTTSDeployment.")
    region: str
    model: str = Field(description="What clients send as `model`.")
    place: Place | None
    phase: Phase
    known_by: KnownBy = Field(description="What the phase is known by; `operator`: what it wrote into the registry.")
    as_of: datetime | None = Field(description="The observation is at least as new; null: the operator's word.")
    is_stale: bool = Field(description="Behind a gateway that has not reported for too long, or never.")
    is_here: bool = Field(description="In this gateway's cluster; false: behind another region's gateway.")
    fault: str = Field(description="Why the region's gateway is not reached; empty: it is.")
    message: str = Field(description="Why the region failed.")
    pools: tuple[PoolServers, ...]
    open_requests: int = Field(description="Requests that the region's servers are answering, of all gateways.")
    held_requests: int = Field(description="Held for the region by all gateways, less those that are silent.")
    silent_gateways: int = Field(
        description="Gateways that have not reported lately: what they hold is not in held_requests."
    )
    rows: int = Field(description="Sentences that its servers can decode at once.")
    running: int = Field(description="Rows in use.")
    wake: WakeState | None
    predicted_wake_seconds: float
    asleep_since: datetime | None
    sleep_asked_at: datetime | None = Field(description="A user asked for sleep; the operator has not done it yet.")
    awake_until: datetime | None = Field(description="When it falls asleep without another request.")
    price_per_gpu_hour: float | None = Field(description="Of a server as the resource prefers them; null: no price.")
    cost: CostEntry | None = Field(description="Of this month; null without the right to operate, or a ledger.")


class DecisionReason(_Sent):
    """Why, in no language: the page has the words. A gateway may send codes that an older page does not know."""

    code: str
    params: dict[str, str | float] = Field(description="What the words name; `seconds` is a duration.")
    because: "DecisionReason | None" = Field(description="The reason that this one refers to, as `params` are.")


class DecisionRegion(_Sent):
    """What one region offered the request."""

    region: str
    is_chosen: bool
    reason: DecisionReason = Field(description="Why it was chosen, or was not.")
    rtt_seconds: float
    score_seconds: float | None


class FleetDecision(_Sent):
    """The newest decision about one request; without its text, and without its client's address."""

    id: str = Field(description="Of the request in this list; a later decision about it has the same.")
    gateway: str = Field(description="That decided it: one of this gateway's region.")
    number: int = Field(description="Counts the decisions of that gateway.")
    request_id: str
    at: datetime
    namespace: str
    name: str
    tenant: str | None = Field(description="Null without the right to operate.")
    action: Literal["serve", "hold", "refuse"]
    region: str | None
    route: str
    reasons: tuple[DecisionReason, ...] = Field(description="Each is a sentence.")
    country: str | None = Field(description="Of the client.")
    wakes: tuple[str, ...]
    wake_estimate_seconds: float | None
    regions: tuple[DecisionRegion, ...]


class FleetSnapshot(_Sent):
    """Everything that the caller may read."""

    at: datetime
    version: int
    gateway: str
    gateway_region: str
    may_operate: bool = Field(description="Whether the caller may wake named regions and put regions to sleep.")
    regions: tuple[FleetRegion, ...]
    decisions: tuple[FleetDecision, ...] = Field(description="Oldest first.")


class FleetChange(_Sent):
    """What has changed since the event before it; where a region has left, a snapshot is sent instead."""

    at: datetime
    version: int
    regions: tuple[FleetRegion, ...] = Field(description="Whole rows that are new or changed; none has left.")
    decisions: tuple[FleetDecision, ...] = Field(description="New, or later ones of requests that were held.")


class OperationRequest(BaseModel):
    """The body of a wake or of a sleep; a wake without one is of the region that the client would be sent to."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    region: str | None = None


class WakeAnswer(_Sent):
    """The response to POST /v1/models/{model}/wake."""

    model: str
    region: str
    state: Literal["awake", "waking"]
    ready_in_seconds: float


class SleepAnswer(_Sent):
    """The response to POST /v1/models/{model}/sleep."""

    model: str
    region: str
    state: Literal["asked"] = "asked"
    asked_at: datetime = Field(description="A request after this time voids it.")


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of the paths that the fleet page uses."""
    models: list[type[BaseModel]] = [FleetSnapshot, FleetChange, OperationRequest, WakeAnswer, SleepAnswer]
    _, definitions = models_json_schema(
        [(model, "serialization") for model in models], ref_template="#/components/schemas/{model}"
    )
    post = {"requestBody": {"required": False, "content": _json("OperationRequest")}}
    model = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "VoxFleet gateway: the fleet page", "version": "1"},
        "paths": {
            FLEET_PATH: {"get": _operation("readFleet", {"200": _json("FleetSnapshot")})},
            EVENTS_PATH: {
                "get": _operation("followFleet", {"200": {"text/event-stream": {"schema": {"type": "string"}}}})
            },
            "/v1/models/{model}/wake": {
                "parameters": [model],
                "post": _operation("wake", {"200": _json("WakeAnswer"), "202": _json("WakeAnswer")}) | post,
            },
            "/v1/models/{model}/sleep": {
                "parameters": [model],
                "post": _operation("sleep", {"202": _json("SleepAnswer")}) | post,
            },
        },
        "components": {"schemas": definitions["$defs"]},
    }


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _operation(name: str, contents: dict[str, Any]) -> dict[str, Any]:
    described = {status: {"description": name, "content": content} for status, content in contents.items()}
    return {"operationId": name, "responses": described}
