"""The benchmark's conditions, the decoding of every format, and a server that does not start."""

import io
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS

from .conftest import Load

RATE_HZ = 48_000


def test_conditions_cover_every_format_and_compare_with_earlier_rows(load: Load) -> None:
    conditions = load("bench").CONDITIONS
    names = [each.name for each in conditions]
    assert len(set(names)) == len(names)
    assert {each.audio_format for each in conditions} == set(FORMATS)
    assert {each.dtype for each in conditions} == {"fp32", "bf16", "int8"}
    assert {1, 8, 32} <= {each.streams for each in conditions}
    for index, each in enumerate(conditions):
        assert not each.compared_with or each.compared_with in names[:index]
        assert each.is_deterministic or not each.must_be_equal


def test_conditions_of_one_server_follow_one_another(load: Load) -> None:
    servers = [each.server for each in load("bench").CONDITIONS]
    changes = sum(before != after for before, after in itertools.pairwise(servers))
    assert changes + 1 == len(set(servers))


@pytest.mark.parametrize("name", FORMATS)
def test_every_response_format_is_decoded(load: Load, name: str) -> None:
    tone = (0.3 * np.sin(np.arange(RATE_HZ) * 2 * np.pi * 440 / RATE_HZ)).astype(np.float32)
    encoder = make_encoder(FORMATS[name], RATE_HZ, RATE_HZ)
    samples, rate_hz = load("speaking.decoding").decode(name, encoder.encode(tone) + encoder.finish(), RATE_HZ)
    assert rate_hz == RATE_HZ
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(RATE_HZ, rel=0.1)
    middle = samples[RATE_HZ // 4 : RATE_HZ // 2]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


def test_what_is_no_audio_is_named(load: Load) -> None:
    with pytest.raises(ValueError, match="5 bytes are no mp3"):
        load("speaking.decoding").decode("mp3", b"hello", RATE_HZ)


def test_a_server_that_does_not_start_is_named_with_its_message(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = load("speaking.server")
    failing = [sys.executable, "-c", "import sys; sys.exit('there is no gcc')"]
    monkeypatch.setattr(server.ServerSettings, "command", lambda *_: failing)
    with (
        pytest.raises(server.ServerError, match=r"the int8 server for .* ended with exit code 1: there is no gcc"),
        server.serving(server.ServerSettings(tmp_path, "int8")),
    ):
        raise AssertionError


def test_the_command_line_names_checkpoint_format_and_promise(load: Load, tmp_path: Path) -> None:
    server = load("speaking.server")
    command = server.ServerSettings(tmp_path, "bf16", is_deterministic=True).command([1, 2, 3], tmp_path / "log")
    assert command[command.index("--model-path") + 1] == str(tmp_path)
    assert command[command.index("--dtype") + 1] == "bf16"
    assert command[-1] == "--deterministic"


def test_early_retries_are_asked_for_through_the_path_of_python(load: Load, tmp_path: Path) -> None:
    server = load("speaking.server")
    environment = server.ServerSettings(tmp_path, retries_everything=True).environment()
    assert (Path(environment["PYTHONPATH"].split(":")[0]) / "sitecustomize.py").is_file()


def test_a_table_is_printed_row_by_row_and_as_markdown(load: Load) -> None:
    printed = io.StringIO()
    display = load("display").Display(("a", "b"), Console(file=printed, force_terminal=False))
    with display.showing(), display.counting("one", 1) as advance:
        advance()
        display.add("1", "[2]")
    assert printed.getvalue() == "one: 1 clips\n1 | [2]\n"
    assert display.markdown() == "| a | b |\n| --- | --- |\n| 1 | [2] |\n"
