"""Logs and metrics as a bundle has them, and the table of events."""

import ast
import json
from pathlib import Path

from voxfleet_cli.report.known_events import EVENTS
from voxfleet_cli.report.lines import log_lines, samples

ROOT = Path(__file__).parents[4]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def logged() -> set[str]:
    """Every event that operator and gateway log by a literal."""
    found: set[str] = set()
    for part in ("operator/voxfleet_operator", "gateway/voxfleet_gateway"):
        for path in (ROOT / part).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                    literals = (
                        [each.value for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant)]
                        if node.args
                        else []
                    )
                    found |= {value for value in literals if isinstance(value, str)}
    return found


def test_the_events_are_those_of_the_code() -> None:
    """A new event is kept as `other`, so a few may be missing; one that is gone is not listed for ever."""
    code = logged()
    assert not EVENTS - code - {"usage"}
    assert len(EVENTS & code) >= 0.9 * len(code)


def test_a_line_keeps_its_event_and_harmless_fields() -> None:
    line = {
        "event": "region changed",
        "timestamp": "2026-11-30T12:00:00.1Z",
        "level": "info",
        "resource": "apps/narrator",
    }
    line |= {"region": "eu", "phase": "Waking", "replicas": 1, "message": "free text", "error": "x", "tenant": "ada"}
    kept, other, left_out = (
        json.loads(each) for each in log_lines(f'{json.dumps(line)}\nplain\n{{"event": "no such"}}')
    )
    assert kept == {key: line[key] for key in line if key not in {"message", "error", "tenant"}}
    assert (other, left_out) == ({"event": "other"}, {"left_out": 1})


def test_samples_keep_harmless_labels() -> None:
    text = """# TYPE voxfleet_gateway_requests counter
voxfleet_gateway_requests_total{region="eu",code="200",route="hold-wake",tenant="ada"} 3
# TYPE voxfleet_gateway_held_seconds histogram
voxfleet_gateway_held_seconds_bucket{region="eu",le="1"} 2
voxfleet_gateway_held_seconds_count{region="eu"} 2
another_metric 1
"""
    assert samples(text) == [
        ("voxfleet_gateway_requests_total", {"region": "eu", "code": "200", "route": "hold-wake"}, 3.0),
        ("voxfleet_gateway_held_seconds_count", {"region": "eu"}, 2.0),
    ]
    assert samples("no exposition {") == []
