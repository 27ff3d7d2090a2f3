"""Every command with its arguments and options, as `--help` of the programs has them.

Knows: which programs are made with typer.
Does not know: commands of other parts, which parse their own arguments (`voxfleet simulate --help`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import typer
from typer.cli import get_docs_for_click
from voxfleet_cli.__main__ import app as voxfleet
from voxfleet_inference.commands.cli import app as inference

_USAGE: Final = re.compile(r"\*\*Usage\*\*:\n\n```console\n\$ (.*?)\n```\n")
_IN_CODE: Final = r"`\1`\n"
_OWN_HELP: Final = re.compile(r"\* `--help`: .*\n")


def voxfleet_commands() -> Iterator[str]:
    """Return the commands of `voxfleet`."""
    return _commands("voxfleet", voxfleet)


def inference_commands() -> Iterator[str]:
    """Return the commands of `voxfleet-inference`."""
    return _commands("voxfleet-inference", inference)


def _commands(name: str, app: typer.Typer) -> Iterator[str]:
    """Yield the sections of a program's commands; flags of `serve` are settings, which have their own page."""
    command: Any = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name=name), name=name)
    for section in re.split(r"^(?=##+ )", text, flags=re.MULTILINE)[1:]:
        if f"# `{name} serve`" not in section.partition("\n")[0]:
            yield "#" + _OWN_HELP.sub("", _USAGE.sub(_IN_CODE, section))
