"""`kubectl voxfleet`: its name, its completion as kubectl reads it, and krew's manifest."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command
from voxfleet_cli.__main__ import app
from voxfleet_cli.kubectl import FILES, NO_FILES, complete

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "cli" / "kubectl"
VERSION = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
RELEASE = {"VERSION": "0.1.0", "URI": "https://example.com/kubectl-voxfleet.tar.gz", "SHA256": "0" * 64}


def candidates(*words: str) -> tuple[list[str], int]:
    *lines, directive, end = complete(get_command(app), [*words]).split("\n")
    assert end == ""
    return [line.partition("\t")[0] for line in lines], int(directive.removeprefix(":"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("sta",), ["status"]),
        (("keys", ""), ["create", "list", "rotate", "revoke"]),
        (("wake", "narrator", "--reg"), ["--region"]),
        (("status", "--output", ""), ["text", "json"]),
        (("nothing",), []),
    ],
)
def test_words_are_completed(words: tuple[str, ...], expected: list[str]) -> None:
    assert candidates(*words) == (expected, NO_FILES)


def test_a_files_name_is_left_to_the_shell() -> None:
    assert candidates("speak", "--key-file", "k") == ([], FILES)


def test_a_candidate_has_its_help() -> None:
    assert "doctor\tCheck an installation for what commonly goes wrong.\n" in complete(get_command(app), ["d"])


def test_the_plugin_is_called_by_its_own_name(tmp_path: Path) -> None:
    program = tmp_path / "kubectl-voxfleet"
    program.write_text(f"#!{sys.executable}\nfrom voxfleet_cli.__main__ import main\nmain()\n")
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TERM": "dumb", "COLUMNS": "100"}
    shown = subprocess.run([program, "wake", "--help"], env=environment, capture_output=True, text=True, check=True)
    assert "kubectl voxfleet wake [OPTIONS]" in shown.stdout
    completion = subprocess.run(
        [FOLDER / "kubectl_complete-voxfleet", "sle"], env=environment, capture_output=True, text=True, check=True
    )
    assert completion.stdout.splitlines()[-1] == ":4"
    assert completion.stdout.startswith("sleep\t")


def test_the_launcher_says_what_is_missing(tmp_path: Path) -> None:
    ended = subprocess.run(
        ["/bin/sh", FOLDER / "kubectl-voxfleet", "status"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, "needs uv (uvx) or pipx" in ended.stderr) == (1, True)


@pytest.mark.parametrize(("runner", "option"), [("uvx", "--from"), ("pipx", "--spec")])
def test_the_launcher_runs_the_wheel_beside_it_and_nothing_of_an_index(
    tmp_path: Path, runner: str, option: str
) -> None:
    plugin, programs = tmp_path / "store", tmp_path / "bin"
    plugin.mkdir()
    programs.mkdir()
    launcher = shutil.copy(FOLDER / "kubectl-voxfleet", plugin)
    assert VERSION is not None
    wheel = plugin / f"voxfleet-{VERSION.group(1)}-py3-none-any.whl"
    wheel.touch()
    for name in ("dirname", "readlink"):
        (programs / name).symlink_to(str(shutil.which(name)))
    (programs / runner).write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (programs / runner).chmod(0o755)
    (programs / "kubectl-voxfleet").symlink_to(launcher)  # as krew installs it
    called = subprocess.run(
        [programs / "kubectl-voxfleet", "status", "a b"],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=True,
    )
    given = called.stdout.splitlines()
    assert given[given.index(option) :] == [option, f"voxfleet[cli] @ file://{wheel}", "voxfleet", "status", "a b"]


def test_the_launcher_is_of_this_version() -> None:
    assert VERSION is not None
    assert f"version={VERSION.group(1)}\n" in (FOLDER / "kubectl-voxfleet").read_text()


def test_the_manifest_is_one_that_krew_takes() -> None:
    text = (FOLDER / "krew.yaml").read_text()
    for name, value in RELEASE.items():
        assert re.search(rf"\b{name}\b|v{name}", text.partition("apiVersion")[2])
        text = text.replace(name, value)
    manifest = yaml.safe_load(text)
    assert (manifest["apiVersion"], manifest["kind"]) == ("krew.googlecontainertools.github.com/v1alpha2", "Plugin")
    spec = manifest["spec"]
    assert re.fullmatch(r"v\d+\.\d+\.\d+", spec["version"])
    assert 0 < len(spec["shortDescription"]) <= 50
    for platform in spec["platforms"]:
        assert re.fullmatch(r"[0-9a-f]{64}", str(platform["sha256"]).zfill(64))
        assert platform["uri"].startswith("https://")
        assert platform["bin"] == f"kubectl-{manifest['metadata']['name']}"
        sources = [each["from"] for each in platform["files"]]
        assert platform["bin"] in sources
        files = [name for name in sources if not name.endswith(".whl")]
        assert all((FOLDER / name).exists() or (ROOT / name).exists() for name in files)
        assert all(os.access(FOLDER / name, os.X_OK) for name in files if name != "LICENSE")
        assert f"voxfleet-{RELEASE['VERSION']}-py3-none-any.whl" in sources
