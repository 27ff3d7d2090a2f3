"""The command line as a plugin of kubectl: `kubectl voxfleet`, and its completion.

Knows: kubectl's protocol: it runs `kubectl_complete-voxfleet WORD...`, which ends in `kubectl-voxfleet __complete`, and
reads a candidate per line with its help behind a tab, then `:` and a directive. Does not know: the commands.
"""

from pathlib import Path
from typing import Any

COMPLETE = "__complete"
FILES, NO_FILES = 0, 4  # cobra's directives: whether the shell offers files where there is no candidate


def complete(root: Any, words: list[str]) -> str:
    """Return kubectl's completion of the last word; the words before it are given."""
    *given, incomplete = words or [""]
    command, context = root, root.make_context("voxfleet", [], resilient_parsing=True)
    for word in given:
        found = getattr(command, "commands", {}).get(word)
        if found is not None:
            command = found
            context = command.make_context(word, [], parent=context, resilient_parsing=True)
    option = _option_awaiting(command, given)
    if option is not None:
        items = option.shell_complete(context, incomplete)
        directive = FILES if option.type_descriptor.annotation is Path else NO_FILES
    else:
        items, directive = command.shell_complete(context, incomplete), NO_FILES
    lines = [f"{item.value}\t{item.help.splitlines()[0]}" if item.help else str(item.value) for item in items]
    return "\n".join([*lines, f":{directive}", ""])


def _option_awaiting(command: Any, given: list[str]) -> Any:
    """Return the option whose value is completed; None where a command or an option's name is."""
    if not given or not given[-1].startswith("-"):
        return None
    matching = (each for each in command.params if given[-1] in each.opts and not getattr(each, "is_flag", False))
    return next(matching, None)
