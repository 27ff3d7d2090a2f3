"""Options that commands have in common, so that they read the same everywhere."""

from enum import StrEnum
from typing import Annotated

import typer


class Output(StrEnum):
    """What is printed."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of what is printed.")]
KubeconfigOption = Annotated[str | None, typer.Option(help="Default: KUBECONFIG, ~/.kube/config.")]
ContextOption = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")]
NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="Default: the context's.")]
AllNamespacesOption = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Those of all namespaces.")]
SystemNamespaceOption = Annotated[str, typer.Option("--system-namespace", help="The gateways' namespace.")]

SYSTEM_NAMESPACE = "voxfleet-system"
