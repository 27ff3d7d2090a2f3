"""Events as they are sent: names, counts, the budget of a resource, and failures that nothing waits for."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs
from voxfleet_operator.cluster.api import FORBIDDEN, KubernetesError
from voxfleet_operator.cluster.writing.event_recorder import (
    BURST,
    LONGEST_QUEUE,
    REFILL_SECONDS,
    TRIES,
    EventRecorder,
)
from voxfleet_operator.resources import Key
from voxfleet_operator.status.event_drafts import EventDraft

NOW = 1_795_000_000.0
RESOURCE: Any = SimpleNamespace(key=Key("team", "narrator"), uid="u1")
WAKING = EventDraft("Waking", "region eu: waking on demand", "Wake", region="eu")


class Server:
    """Keeps what was applied; `errors` are raised by the next requests."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.sent = 0
        self.errors: list[Exception] = []
        self.pauses: list[float] = []

    async def apply(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.sent += 1
        if self.errors:
            raise self.errors.pop(0)
        self.events[path] = body
        return body

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def recorder(self) -> EventRecorder:
        return EventRecorder(self, "operator-0", sleep=self.sleep)  # type: ignore[arg-type] # only apply() is called


@pytest.fixture
def server() -> Server:
    return Server()


async def test_an_event_is_about_the_resource_and_in_its_namespace(server: Server) -> None:
    recorder = server.recorder()
    recorder.record(RESOURCE, [WAKING], NOW)
    assert server.sent == 0, "nothing is sent in a reconcile"
    await recorder.flush()
    ((path, body),) = server.events.items()
    name = body["metadata"].pop("name")
    assert path == f"/api/v1/namespaces/team/events/{name}"
    assert name.startswith("narrator.")
    assert body == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "team"},
        "involvedObject": {
            "apiVersion": "voxfleet.dev/v1alpha1",
            "kind": "VoxTTSDeployment",
            "namespace": "team",
            "name": "narrator",
            "uid": "u1",
        },
        "type": "Normal",
        "reason": "Waking",
        "message": "region eu: waking on demand",
        "action": "Wake",
        "count": 1,
        "firstTimestamp": "2026-11-18T11:06:40Z",
        "lastTimestamp": "2026-11-18T11:06:40Z",
        "source": {"component": "voxfleet-operator"},
        "reportingComponent": "voxfleet.dev/operator",
        "reportingInstance": "operator-0",
    }


async def test_a_repeated_message_raises_the_count_of_one_event(server: Server) -> None:
    recorder = server.recorder()
    for number in range(3):
        recorder.record(RESOURCE, [WAKING], NOW + number)
    await recorder.flush()
    (body,) = server.events.values()
    assert (body["count"], body["firstTimestamp"], body["lastTimestamp"]) == (
        3,
        "2026-11-18T11:06:40Z",
        "2026-11-18T11:06:42Z",
    )


async def test_an_occurrence_is_one_event_of_any_process_and_is_amended(server: Server) -> None:
    for message in ("awake after 3 s", "awake after 3 s; slowest first: weights 2 s"):
        recorder = server.recorder()
        draft = EventDraft("Awake", message, region="eu", occurrence="2026-11-18T11:06:40Z", at=NOW)
        recorder.record(RESOURCE, [draft], NOW + 5)
        await recorder.flush()
    (body,) = server.events.values()
    assert (body["count"], body["message"]) == (1, "awake after 3 s; slowest first: weights 2 s")


async def test_a_write_that_is_tried_again_doubles_nothing(server: Server) -> None:
    server.errors = [KubernetesError(0, "not reached"), KubernetesError(503, "away", retry_after_seconds=7)]
    recorder = server.recorder()
    recorder.record(RESOURCE, [WAKING], NOW)
    with capture_logs() as logs:
        await recorder.flush()
    (body,) = server.events.values()
    assert (server.sent, body["count"], server.pauses) == (3, 1, [2.0, 7])
    assert len(logs) == 1


async def test_a_right_that_is_missing_is_logged_once_and_not_tried_again(server: Server) -> None:
    server.errors = [KubernetesError(FORBIDDEN, "events is forbidden") for _ in range(2)]
    recorder = server.recorder()
    recorder.record(RESOURCE, [WAKING, EventDraft("Awake", "awake")], NOW)
    with capture_logs() as logs:
        await recorder.flush()
    assert server.sent == 2
    assert [(each["log_level"], each["error"]) for each in logs] == [("warning", "events is forbidden")]


async def test_an_api_server_that_stays_away_costs_the_event_alone(server: Server) -> None:
    server.errors = [KubernetesError(500, "broken") for _ in range(TRIES)]
    recorder = server.recorder()
    recorder.record(RESOURCE, [WAKING, EventDraft("Awake", "awake")], NOW)
    await recorder.flush()
    assert [body["reason"] for body in server.events.values()] == ["Awake"]


async def test_a_flapping_resource_has_a_budget_and_others_keep_theirs(server: Server) -> None:
    recorder = server.recorder()
    drafts = [EventDraft("Awake", f"awake {number}") for number in range(BURST + 10)]
    recorder.record(RESOURCE, drafts, NOW)
    recorder.record(SimpleNamespace(key=Key("team", "other"), uid="u2"), [WAKING], NOW)  # type: ignore[arg-type] # key and uid are read
    await recorder.flush()
    assert len(server.events) == BURST + 1
    recorder.record(RESOURCE, drafts, NOW + REFILL_SECONDS * 2)
    await recorder.flush()
    assert server.sent == BURST + 1 + 2


async def test_an_unexpected_error_ends_nothing(server: Server) -> None:
    server.errors = [ValueError("a defect")]
    recorder = server.recorder()
    recorder.record(RESOURCE, [WAKING, EventDraft("Awake", "awake")], NOW)
    with capture_logs() as logs:
        running = asyncio.create_task(recorder.run())
        for _ in range(10):
            await asyncio.sleep(0)
        running.cancel()
    assert [body["reason"] for body in server.events.values()] == ["Awake"]
    assert [each["log_level"] for each in logs] == ["error"]


async def test_a_full_queue_drops_events(server: Server) -> None:
    recorder = server.recorder()
    for number in range(LONGEST_QUEUE + 5):
        recorder.record(SimpleNamespace(key=Key("team", f"m{number}"), uid=f"u{number}"), [WAKING], NOW)  # type: ignore[arg-type] # key and uid are read
    await recorder.flush()
    assert len(server.events) == LONGEST_QUEUE
