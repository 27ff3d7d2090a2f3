"""How each command of the docs is tested: run, parsed by its own program, or marked as not.

Knows: which tests take which commands (tests/unit/docs, tests/integration/docs).
Does not know: how they run them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Final

from command_blocks import Command, blocks_of, commands_of


class Check(Enum):
    """What a test does with a command."""

    RUN = "run by a test, against a real server or API server"
    PARSED = "parsed by its own program, with the names and files in it checked"
    TOOL = "a tool of the shell that goes with another command"
    NOT_RUN = "marked as not run, with the reason"
    UNKNOWN = "neither tested nor marked"


# Pages whose requests are sent to a real speech server, and the test that does.
SERVER_PAGES: Final = {
    "docs/tutorial/first-speech.md": "tests/integration/docs/test_server_commands.py",
    "docs/speech-api.md": "tests/integration/docs/test_server_commands.py",
    "docs/keys-and-tenants.md": "tests/integration/docs/test_server_commands.py",
    "examples/curl.md": "tests/unit/inference/server/test_examples.py",
}
CLUSTER_PROGRAMS: Final = frozenset({"helm", "kubectl"})
# A page whose program speaks through a gateway, and the test that runs it.
GATEWAY_PAGES: Final = {"docs/clients.md": "tests/integration/clients/test_clients.py"}
SERVER_PROGRAMS: Final = frozenset({"curl", "cmp", "inference/start.sh", ".venv/bin/python"})
PARSED_PROGRAMS: Final = frozenset({"make", "voxfleet", "voxfleet-inference", "voxfleet-operator"})
_TOOLS: Final = frozenset(
    {
        "grep",
        "sort",
        "cut",
        "tail",
        "head",
        "tee",
        "jq",
        "gunzip",
        "mv",
        "rm",
        "ln",
        "openssl",
        "cp",
        "base64",
        "sed",
        "awk",
    }
    | {"cd", "export", "echo", "python3", "xargs", "ffplay", "printf"}
)


def check_of(command: Command) -> Check:
    """Return how a command is tested."""
    if command.not_run:
        return Check.NOT_RUN
    if command.program in CLUSTER_PROGRAMS:
        return Check.RUN
    if command.program == "python" and command.place.partition(":")[0] in GATEWAY_PAGES:
        return Check.RUN
    if command.program in SERVER_PROGRAMS:
        is_sent = command.place.partition(":")[0] in SERVER_PAGES or command.program == "inference/start.sh"
        return Check.RUN if is_sent else Check.UNKNOWN
    if command.program in PARSED_PROGRAMS:
        return Check.PARSED
    return Check.TOOL if command.program in _TOOLS else Check.UNKNOWN


def commands_of_pages(pages: Iterable[Path]) -> Iterator[Command]:
    """Yield every command of the pages."""
    for page in pages:
        for block in blocks_of(page):
            if block.has_commands:
                yield from commands_of(block)


def summary_of(pages: Iterable[Path]) -> str:
    """Say how many commands are tested, and how."""
    counts = Counter(check_of(command) for command in commands_of_pages(pages))
    total = sum(counts.values()) - counts[Check.TOOL]
    lines = [f"{counts[check]:4}  {check.value}" for check in Check if counts[check]]
    share = (counts[Check.RUN] + counts[Check.PARSED]) / total
    return "\n".join([f"{total} commands, {share:.0%} tested", *lines])
