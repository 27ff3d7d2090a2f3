from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel, Field
from typer.testing import CliRunner
from voxfleet_inference.commands.cli import app
from voxfleet_inference.commands.fetch import FetchError, fetch_checkpoint
from voxfleet_inference.commands.options import command_of
from voxfleet_inference.requests import SpeechRequest
from voxfleet_inference.settings import ServeSettings, environment_name, flag_name
from voxfleet_inference.telemetry.metrics import Metrics

DOCS = Path(__file__).parents[4] / "docs" / "inference-server.md"
SETTINGS = list(ServeSettings.model_fields)


class Table(BaseModel):
    name: str = Field(description="A name.")
    loud: bool = False
    count: int = Field(3, ge=1, description="How many.")


def run(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str, list[Table]]:
    seen: list[Table] = []
    table_app = typer.Typer()
    table_app.command()(command_of(Table, seen.append))
    result = CliRunner().invoke(table_app, list(arguments), env=env)
    return result.exit_code, result.output, seen


def test_options_come_from_flags_then_environment_then_defaults() -> None:
    assert run("--name", "a")[2] == [Table(name="a", count=3)]
    assert run(env={"VOXFLEET_NAME": "b", "VOXFLEET_COUNT": "5"})[2] == [Table(name="b", count=5)]
    assert run("--count", "7", env={"VOXFLEET_NAME": "b", "VOXFLEET_COUNT": "5"})[2] == [Table(name="b", count=7)]


def test_a_switch_needs_no_value() -> None:
    loud = Table(name="a", loud=True)
    assert run("--name", "a", "--loud")[2] == run("--name", "a", env={"VOXFLEET_LOUD": "true"})[2] == [loud]
    assert run("--name", "a", "--no-loud", env={"VOXFLEET_LOUD": "true"})[2] == [Table(name="a")]


def test_kubernetes_service_links_are_no_settings() -> None:
    assert run("--name", "a", env={"VOXFLEET_COUNT": "tcp://10.96.0.1:6006"})[2] == [Table(name="a", count=3)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--name is missing (or VOXFLEET_NAME)"),
        (
            ["--name", "a", "--count", "0"],
            "--count '0': Input should be greater than or equal to 1 (or VOXFLEET_COUNT)",
        ),
        (["--name", "a", "--count", "x"], "--count 'x': Input should be a valid integer"),
    ],
)
def test_a_wrong_option_is_one_line_that_names_it(arguments: list[str], words: str) -> None:
    exit_code, output, seen = run(*arguments)
    assert (exit_code, seen) == (2, [])
    assert len(output.splitlines()) == 1
    assert words in output


def test_serve_help_shows_every_setting_with_its_variable_and_default() -> None:
    shown = " ".join(CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "400"}).output.split())
    for name, field in ServeSettings.model_fields.items():
        assert flag_name(name) in shown
        assert environment_name(name) in shown
        if not field.is_required() and field.default != "":
            assert f"default: ({field.default})" in shown or f"default: {field.default}" in shown


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_documented(name: str) -> None:
    row = f"| `{flag_name(name)}` | `{environment_name(name)}` |"
    assert row in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(SpeechRequest.model_fields))
def test_every_field_of_a_request_is_documented_with_its_bounds(name: str) -> None:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    assert any(line.startswith(f"| `{name}` |") and f"| {described(name)} |" in line for line in lines)


def described(name: str) -> str | None:
    return SpeechRequest.model_fields[name].description


def test_every_metric_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for metric in Metrics().registry.collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        assert f"| `{name}` | {metric.type} | {metric.documentation} |" in text


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


def test_the_http_side_never_imports_torch() -> None:
    source = "import sys, voxfleet_inference.server.serve; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize(
    "source", ["openbmb/VoxCPM1.5", "hf://only", "s3://a/b", "hf://a/b/c", "hf:///a/b", "hf://../b"]
)
def test_fetch_refuses_other_addresses(source: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="not of the form hf://owner/name"):
        fetch_checkpoint(source, "main", tmp_path)
