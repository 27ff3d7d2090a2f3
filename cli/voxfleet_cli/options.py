"""Options that commands have in common, so that they read the same everywhere."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from typer.core import TyperGroup


class Output(StrEnum):
    """What is printed."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of what is printed.")]
# Where --output names a file.
JsonOption = Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")]
KubeconfigOption = Annotated[str | None, typer.Option(help="Default: KUBECONFIG, ~/.kube/config.")]
ContextOption = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")]
NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="Default: the context's.")]
AllNamespacesOption = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Those of all namespaces.")]
SystemNamespaceOption = Annotated[str, typer.Option("--system-namespace", help="The gateways' namespace.")]

SYSTEM_NAMESPACE = "voxfleet-system"


class SharedOptionsGroup(TyperGroup):
    """A group of commands whose own options may also stand after the command, as kubectl's do."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options of the group wherever they stand; each takes a value."""
        names = {name for each in self.params for name in each.opts if each.name != "help"}
        return super().parse_args(ctx, shared_first(args, names))


def shared_first(args: Sequence[str], names: Collection[str]) -> list[str]:
    """Return the arguments with the named options, and their values, before all others; what follows `--` stays."""
    until = args.index("--") if "--" in args else len(args)
    first: list[str] = []
    others: list[str] = []
    left = iter(args[:until])
    for each in left:
        if each.partition("=")[0] not in names:
            others.append(each)
        elif "=" in each:
            first.append(each)
        else:
            value = next(left, None)
            (others if value is None else first).extend([each] if value is None else [each, value])
    return [*first, *others, *args[until:]]
