"""Every command of the docs is run by a test, parsed by its own program, or marked as not run with the reason."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from voxfleet_cli.__main__ import app as voxfleet_app
from voxfleet_gateway import replay_command
from voxfleet_inference.commands.cli import app as inference_app
from voxfleet_simulation import commands as simulation

ROOT = Path(__file__).parents[3]
Site = dict[str, ModuleType]
TARGETS = re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
# Commands of other parts take their arguments unparsed (entry points); their own parsers check them here.
OTHER_PARTS = {("simulate",): simulation._parser, ("route", "replay"): replay_command._parser}


def pages(site: Site) -> list[Path]:
    files = site["markdown_files"]
    return [path for path in files.with_linked_files(files.pages_of_repository()) if path.suffix == ".md"]


def commands(site: Site, *programs: str) -> list[Any]:
    found = [each for each in site["command_checks"].commands_of_pages(pages(site)) if each.program in programs]
    return [each for each in found if not each.not_run]


def test_every_command_is_tested_or_marked(site: Site) -> None:
    checks = site["command_checks"]
    unknown = [
        str(each) for each in checks.commands_of_pages(pages(site)) if checks.check_of(each) is checks.Check.UNKNOWN
    ]
    assert unknown == [], "test them (scripts/site/command_checks.py), or put <!-- not run: REASON --> above the block"


def test_the_tests_named_for_pages_exist(site: Site) -> None:
    checks = site["command_checks"]
    tests = {*checks.SERVER_PAGES.values(), *checks.GATEWAY_PAGES.values()}
    assert [name for name in tests if not (ROOT / name).is_file()] == []


def test_every_mark_is_of_a_block_of_commands(site: Site) -> None:
    for page in pages(site):
        marks = len(re.findall(r"^\s*<!-- not run", page.read_text(), re.MULTILINE))
        marked = [each for each in site["command_blocks"].blocks_of(page) if each.not_run and each.has_commands]
        assert marks == len(marked), f"{page}: a mark without a block of commands right below it"


def test_every_make_target_exists(site: Site) -> None:
    found = commands(site, "make")
    assert len(found) >= 8
    assert [str(each) for each in found if each.words[1] not in TARGETS] == []


[USAGE_ERROR] = typer.BadParameter.__bases__  # typer has a click of its own


def parse(command: Any, words: list[str], path: tuple[str, ...] = ()) -> None:
    """Parse as the program would, without running it.

    Raises:
        USAGE_ERROR: an option or a command is unknown, or a value is wrong.
    """
    if path in OTHER_PARTS:
        OTHER_PARTS[path]().parse_args(words)
        return
    context = command.make_context(path[-1] if path else command.name, list(words), resilient_parsing=False)
    rest = [*context._protected_args, *context.args]
    if isinstance(command, TyperGroup) and rest:
        name, found, below = command.resolve_command(context, rest)
        assert name is not None
        assert found is not None
        parse(found, below, (*path, name))


PROGRAMS = {
    "voxfleet": typer.main.get_command(voxfleet_app),
    "voxfleet-inference": typer.main.get_command(inference_app),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_line_is_one_that_its_program_takes(
    site: Site, program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("texts.txt", "server.log", "my.yaml", "keys.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "DIR").mkdir()
    monkeypatch.chdir(tmp_path)
    found = commands(site, program)
    assert len(found) >= 3
    for each in found:
        try:
            parse(PROGRAMS[program], list(each.words[1:]))
        except (USAGE_ERROR, SystemExit, argparse.ArgumentError) as error:
            pytest.fail(f"{each}: {getattr(error, 'message', error)}")


@pytest.mark.parametrize(
    "words",
    [
        ["voxfleet"],
        ["voxfleet", "simulate"],
        ["voxfleet-operator"],
        ["voxfleet-gateway"],
        ["voxfleet-inference", "serve"],
    ],
)
def test_help_is_as_wide_as_a_terminal(words: list[str]) -> None:
    command = [str(Path(sys.executable).with_name(words[0])), *words[1:], "--help"]
    environment = os.environ | {"COLUMNS": "100", "TERM": "dumb"}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    # Examples are lines to copy, which are not broken.
    lines = [each for each in shown.partition("\nexamples:")[0].splitlines() if len(each) > 100]
    assert lines == []


@pytest.mark.parametrize("words", [["status", "--nope"], ["statuss"], ["keys", "create"], ["simulate", "--nope"]])
def test_a_wrong_command_line_is_found(words: list[str]) -> None:
    with pytest.raises((USAGE_ERROR, SystemExit)):
        parse(PROGRAMS["voxfleet"], words)


def test_files_that_commands_name_exist(site: Site) -> None:
    found = site["command_checks"].commands_of_pages(pages(site))
    named = [
        (each, word)
        for each in found
        for word in each.words
        if re.match(r"(examples|charts|scripts|inference|operator|gateway)/", word)
    ]
    assert len(named) > 15
    assert [f"{each.place}: {word}" for each, word in named if not (ROOT / word).exists()] == []


def test_no_page_installs_the_package_from_an_index_that_does_not_have_it(site: Site) -> None:
    found = [str(page) for page in pages(site) if re.search(r"pip install '?voxfleet", page.read_text())]
    assert [each for each in found if "CHANGELOG" not in each] == []


def test_a_release_of_helm_has_one_namespace_on_all_pages(site: Site) -> None:
    changing = {"install", "upgrade", "uninstall", "rollback"}
    found = [each for each in commands(site, "helm") if each.words[1] in changing]
    notes = (ROOT / "charts/voxfleet/templates/NOTES.txt").read_text()
    lines = [*(" ".join(each.words) for each in found), *re.findall(r"helm install .*", notes)]
    assert len([each for each in lines if "voxfleet-crds" in each]) >= 5
    assert [each for each in lines if not re.search(r"(--namespace|-n) (voxfleet-system|\{\{ \.Release)", each)] == []


PAGE = """# Page

```sh
A=1 make demo && voxfleet status  # comment
curl --data '{"a":
 1}' \\
  http://x | grep -i y > file 2> other
sum by (pod) (rate(voxfleet_x[5m]))
kubectl apply -f - <<'EOF'
kind: Config
EOF
helm list
```

<!-- not run (gcloud): costs money -->
```sh
gcloud go | jq .
```

```text
make nothing
```

```
an output
```
"""


def test_blocks_are_split_into_commands(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = site["command_blocks"]
    monkeypatch.setattr(blocks, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    found = [each for block in blocks.blocks_of(page) if block.has_commands for each in blocks.commands_of(block)]
    assert [each.words for each in found] == [
        ("make", "demo"),
        ("voxfleet", "status"),
        ("curl", "--data", '{"a":\n 1}', "http://x"),
        ("grep", "-i", "y"),
        ("kubectl", "apply", "-f", "-"),
        ("helm", "list"),
        ("gcloud", "go"),
        ("jq", "."),
    ]
    assert [each.not_run for each in found] == ["", "", "", "", "", "", "costs money", ""]
