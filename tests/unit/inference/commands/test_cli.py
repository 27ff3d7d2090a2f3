from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.commands.cli import app
from voxfleet_inference.settings import ServeSettings, environment_name, flag_name


def test_serve_help_shows_every_setting_with_its_variable_and_default() -> None:
    shown = " ".join(CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "400"}).output.split())
    for name, field in ServeSettings.model_fields.items():
        assert flag_name(name) in shown
        assert environment_name(name) in shown
        if not field.is_required() and field.default not in {"", None, True, False}:
            assert f"[default: {field.default}]" in shown
    assert "default: ()" not in shown
    assert "None" not in shown
    for option in ("--port <int>", "--cfg-value <float>", "--sample-rate <int>", "--voices-dir <path>", "--host <str>"):
        assert option in shown


@pytest.mark.parametrize(
    ("command", "choices"),
    [
        ("bench", list(FORMATS)),
        ("synthesize", ["fp32", "bf16", "float32", "bfloat16", "int8"]),
        ("synthesize", ["cpu", "cuda"]),
        ("serve", ["float32", "bfloat16", "int8"]),
        ("serve", ["cpu", "cuda"]),
    ],
)
def test_choices_come_from_the_tables_of_formats_and_settings(command: str, choices: list[str]) -> None:
    assert f"<{'|'.join(choices)}>" in CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "400"}).output


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["synthesize", "--help"], ["fetch", "--help"]])
def test_help_and_wrong_options_load_neither_torch_nor_a_web_server(arguments: list[str]) -> None:
    source = (
        "import sys\nfrom voxfleet_inference.commands.cli import app\n"
        f"try: app({arguments!r})\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'fastapi', 'uvicorn', 'av', 'numpy', 'transformers', 'huggingface_hub'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_http_process_does_not_import_torch() -> None:
    source = "import sys, voxfleet_inference.server.serve; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], timeout=60, check=False).returncode == 0
