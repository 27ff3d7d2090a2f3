"""`voxfleet-gateway replay` and `voxfleet route replay`: one command under two names.

Knows: arguments, files, what is printed, exit codes. Needs no HTTP, metrics or Kubernetes library.
Does not know: how a line is read or decided again (replay.py).
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.errors import RecordError
from voxfleet_gateway.replay import Replayed, replay

SAME, DIFFERENT, FAILED = 0, 1, 2  # exit codes, as diff(1)'s
STANDARD_INPUT = "-"


def run(arguments: list[str]) -> int:
    """Replay the file of the arguments; return the exit code."""
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as ended:  # argparse has printed the help, or what is wrong
        return int(ended.code or 0)
    try:
        with _opened(given.file) as lines:
            return _print_all(replay(lines), given.file, as_json=given.output == "json")
    except (RecordError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"replay: {given.file}: {error}\n")
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voxfleet route replay",
        description="Decide the requests of a gateway's log again, by this version's rules and the recorded inputs.",
        epilog="Exit codes: 0 every decision is the same, 1 one differs, 2 no decision could be read. "
        "Example: kubectl logs -n voxfleet-system deploy/voxfleet-gateway | voxfleet route replay -",
    )
    parser.add_argument("file", metavar="FILE", help="log lines of a gateway; - is standard input")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    return parser


@contextmanager
def _opened(name: str) -> Iterator[Iterable[str]]:
    if name == STANDARD_INPUT:
        yield sys.stdin
        return
    with Path(name).open(encoding="utf-8") as lines:
        yield lines


def _print_all(results: Iterable[Replayed], name: str, *, as_json: bool) -> int:
    """Print one line per decision as it is made; the counts go to standard error."""
    count = different = 0
    for result in results:
        count += 1
        different += not result.is_same
        sys.stdout.write((_as_json(result) if as_json else _as_text(result)) + "\n")
    if not count:
        # A check that reads nothing must not pass.
        sys.stderr.write(f"replay: {name} holds no decision: give log lines with the event `request`\n")
        return FAILED
    sys.stderr.write(f"{count} decisions, {different} different\n")
    return DIFFERENT if different else SAME


def _as_text(result: Replayed) -> str:
    decided = result.decided.decision
    text = f"{result.request_id} {'same' if result.is_same else 'DIFFERENT'} {decided.route} {decided.region}"
    return text if result.is_same else f"{text}: {'; '.join(differences(result))}"


def _as_json(result: Replayed) -> str:
    decided = result.decided.decision
    fields = {"request_id": result.request_id, "is_same": result.is_same}
    fields |= {"region": decided.region, "route": decided.route, "differences": [*differences(result)]}
    return json.dumps(fields)


def differences(result: Replayed) -> Iterator[str]:
    """Yield what differs between the recorded decision and today's, each as `field: recorded -> today's`."""
    before, after = result.recorded.record.decision, result.decided.decision
    for name, was in asdict(before).items():
        if was != (now := getattr(after, name)):
            yield f"{name}: {was} -> {now}"
    yield from _score_differences(result, result.decided)


def _score_differences(result: Replayed, decided: DecisionRecord) -> Iterator[str]:
    for was, now in zip(result.recorded.scores, decided.scores, strict=True):
        if was != now:
            yield f"{was.region}: {was.filtered_by or was.score_seconds} -> {now.filtered_by or now.score_seconds}"
