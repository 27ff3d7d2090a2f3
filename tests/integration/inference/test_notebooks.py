"""Each notebook of examples/ runs from top to bottom against a real server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).parents[3] / "examples/notebooks"


@pytest.fixture(scope="module")
def server(start_server: Any, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("notebooks")
    with start_server(folder / "server", tiny, "--voices-dir", str(folder / "voices")) as running:
        running.wait_for_ready()
        yield running


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the notebook displays; IPython is Jupyter's, and not in the development environment."""
    displayed: list[Any] = []
    module = ModuleType("IPython.display")
    module.Audio = lambda *given, **_: given  # type: ignore[attr-defined]
    module.display = displayed.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return displayed


def run(name: str) -> dict[str, Any]:
    """Run the code cells in order, in one namespace; return it."""
    notebook = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], "outputs are not committed"
            exec(compile("".join(cell["source"]), f"{name}, cell {number}", "exec"), namespace)  # noqa: S102
    return namespace


def test_speech_is_streamed(
    server: Any, shown: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOXFLEET_URL", server.url())
    left = run("stream_speech")
    assert "first audio after" in capsys.readouterr().out
    assert left["seconds"] > 0.5
    assert left["same"]
    assert left["usage"]["input_tokens"] > 0
    assert len(shown) == 1


def test_a_voice_is_cloned_and_deleted(server: Any, shown: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXFLEET_URL", server.url())
    left = run("clone_voice")
    assert left["voice"]["id"].startswith("voice_")
    assert left["spoken"][:4] == b"RIFF"
    assert len(shown) == 1
    assert server.get(f"/v1/audio/voices/{left['voice']['id']}").status_code == 404


def test_latency_is_measured(server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VOXFLEET_URL", server.url())
    run("measure_latency")
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [int(row.split()[0]) for row in rows] == [1, 2, 4]


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {"stream_speech", "clone_voice", "measure_latency"}
