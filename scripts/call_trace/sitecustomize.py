"""Counts, in any Python process that finds this file on its path, which files of one package call which.

Python imports `sitecustomize` by itself at start. Counting begins with SIGUSR1 and ends with SIGUSR2, which writes what
was counted to VOXFLEET_CALL_TRACE, one JSON file a process.
Knows: profile events. Does not know: what the package does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

_FOLDER: Final = os.environ.get("VOXFLEET_CALL_TRACE", "")
_PACKAGE: Final = os.environ.get("VOXFLEET_CALL_TRACE_PACKAGE", "")
_SCHEDULER: Final = "/scheduling/batch_scheduler.py"
_PASS_FUNCTIONS: Final = frozenset({"schedule", "plan"})  # one scheduling pass is one call of it

_is_counting = False
_entered: Counter[str] = Counter()  # file -> calls into it
_switches: Counter[tuple[str, str]] = Counter()  # (calling file, called file) -> calls
_passes: list[dict[str, object]] = []
_open_pass: dict[int, tuple[FrameType, list[tuple[str, str]]]] = {}  # by thread: the root call, (caller, called) files


def _package_file(frame: FrameType | None) -> str:
    name = "" if frame is None else frame.f_code.co_filename
    return name.partition(f"/{_PACKAGE}/")[2]


def _profile(frame: FrameType, event: str, _argument: object) -> None:
    if not _is_counting or event not in {"call", "return"}:
        return
    called = _package_file(frame)
    if not called:
        return
    thread = threading.get_ident()
    if event == "return":
        if thread in _open_pass and _open_pass[thread][0] is frame:
            _close_pass(thread)
        return
    caller = _package_file(frame.f_back)
    _entered[called] += 1
    if caller and caller != called:
        _switches[caller, called] += 1
    if thread in _open_pass:
        _open_pass[thread][1].append((caller, called))
    elif frame.f_code.co_name in _PASS_FUNCTIONS and frame.f_code.co_filename.endswith(_SCHEDULER):
        _open_pass[thread] = (frame, [("", called)])


def _close_pass(thread: int) -> None:
    _, calls = _open_pass.pop(thread)
    switches = sum(bool(caller) and caller != called for caller, called in calls)
    _passes.append({"files": sorted({called for _, called in calls}), "calls": len(calls), "switches": switches})


def _begin(*_: object) -> None:
    global _is_counting  # noqa: PLW0603 - a signal handler has no other place to say so
    _is_counting = True


def _end(*_: object) -> None:
    global _is_counting  # noqa: PLW0603
    _is_counting = False
    counted = {"files": dict(_entered), "switches": sum(_switches.values()), "passes": _passes}
    path = Path(_FOLDER) / f"{os.getpid()}.json"
    path.with_suffix(".part").write_text(json.dumps(counted), encoding="utf-8")
    path.with_suffix(".part").rename(path)


if _FOLDER:
    signal.signal(signal.SIGUSR1, _begin)
    signal.signal(signal.SIGUSR2, _end)
    threading.setprofile(_profile)
    sys.setprofile(_profile)
