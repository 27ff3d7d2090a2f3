"""A short run of the demo voice's gate; `make voice-gate` is the whole one.

VOICE_CHECKPOINT names another checkpoint than inference/models/demo.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CHECKPOINT = Path(os.environ.get("VOICE_CHECKPOINT", ROOT / "inference" / "models" / "demo"))
SENTENCES = 2


def test_two_sentences_are_spoken_recognised_and_judged(tmp_path: Path) -> None:
    if not (CHECKPOINT / "config.json").is_file():
        pytest.skip(f"{CHECKPOINT} has no checkpoint, and random weights make noise, which is not recognised")
    command = [sys.executable, str(ROOT / "benchmarks" / "speech_errors"), "gate", "--checkpoint", str(CHECKPOINT)]
    command += [
        "--sentences",
        str(SENTENCES),
        "--seeds",
        "1",
        "--formats",
        "fp32",
        "--no-reference",
        "--voice",
        "random",
        "--demo-cfg",  # the standard one: a single run
        "2",
    ]
    command += ["--json", str(tmp_path / "gate.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert (tmp_path / "gate.json").exists(), done.stderr
    document = json.loads((tmp_path / "gate.json").read_text())
    assert done.returncode == (1 if document["missed"] else 0), done.stderr
    (run,) = document["runs"]
    assert len(run["readings"]) == SENTENCES
    # Two sentences of a small voice may have an error; noise has one in every word.
    assert run["word_error_rate"] < 0.5, document
    assert "| server | fp32 | 2 | random |" in done.stdout
