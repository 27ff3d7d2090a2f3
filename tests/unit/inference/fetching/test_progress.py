"""How far a download is: the served figures are the newest ones, the log has a line now and then."""

from __future__ import annotations

import json
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.commands.fetch import ProgressLog
from voxfleet_inference.fetching.download import Progress
from voxfleet_inference.fetching.progress_server import LatestProgress, served


@given(present=st.integers(0, 2**40), changes=st.lists(st.integers(-(2**20), 2**20), max_size=20))
def test_a_download_that_stalls_has_reported_every_byte(present: int, changes: list[int]) -> None:
    latest = LatestProgress()
    progress = Progress(present, 2**41, latest.report)
    assert (latest.present_bytes, latest.total_bytes) == (present, 2**41)
    for change in changes:
        progress.add(change)
        present += change
        assert latest.present_bytes == present


def test_the_progress_is_served() -> None:
    progress = LatestProgress()
    progress.report(1, 2)
    with served(progress, 0) as port, urllib.request.urlopen(f"http://127.0.0.1:{port}/internal/progress") as answer:
        assert json.load(answer) == {"present_bytes": 1, "total_bytes": 2}


def test_the_log_has_a_line_every_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    log = ProgressLog(lambda: now)
    for now in (0.0, 1.0, 4.9, 5.0, 9.9, 11.0):
        log.report(int(now * 1e6), 20_000_000)
    assert capsys.readouterr().err.splitlines() == [f"fetched {each} of 20 MB" for each in (0, 5, 11)]
