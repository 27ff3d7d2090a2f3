"""`voxfleet report -o bundle.tar.gz`.

Knows: options, the clock, the file. Does not know: what is read (collection.py), what is kept (shapes.py, lines.py).
"""

import json
import os
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from voxfleet_cli.cluster import Cluster
from voxfleet_cli.demand.commands import DemandNamespaceOption
from voxfleet_cli.demand.regions import DEMAND_NAMESPACE
from voxfleet_cli.errors import OutputError, UsageError, reason_of
from voxfleet_cli.options import (
    SYSTEM_NAMESPACE,
    ContextOption,
    JsonOption,
    KubeconfigOption,
    SystemNamespaceOption,
)
from voxfleet_cli.printing import print_table
from voxfleet_cli.report.bundle import BundleFile, archive, within_bounds
from voxfleet_cli.report.collection import Collection

NOTE = """
It has names, states, numbers and times, and no secrets, keys, texts, messages or addresses: fields are taken from a
list of harmless ones. Look through it before you send it: tar -xzOf {target} | less
"""


def report(  # noqa: PLR0913  # an argument per option
    target: Annotated[Path, typer.Option("--output", "-o", help="The file, such as bundle.tar.gz.")],
    system_namespace: SystemNamespaceOption = SYSTEM_NAMESPACE,
    demand_namespace: DemandNamespaceOption = DEMAND_NAMESPACE,
    *,
    kubeconfig: KubeconfigOption = None,
    kube_context: ContextOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a support bundle: states, events, Leases, logs and metrics, without secrets and texts.

    Exit codes: 0 it is written, with a list of what could not be read, 1 the API server did not respond.
    """
    if not target.name.endswith((".tar.gz", ".tgz")):
        raise UsageError(f"-o must end in .tar.gz or .tgz, not {target.name!r}")
    at = int(time.time())
    collection = Collection(Cluster(kubeconfig, kube_context), system_namespace, demand_namespace)
    with Console(stderr=True).status("reading the cluster"):
        files = within_bounds(collection.files())
    content = archive(f"voxfleet-report-{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}", files, at)
    _write(target, content)
    if as_json:
        sys.stdout.write(json.dumps(contents(target, len(content), files, collection.unread), indent=2) + "\n")
        return
    print_table(contents_table(files), Console())
    sys.stdout.write(f"\n{target}: {len(content):,} bytes, {len(files)} files\n")
    if collection.unread:
        sys.stdout.write(
            f"not read: {', '.join(sorted(collection.unread))}; voxfleet doctor names the missing rights\n"
        )
    sys.stdout.write(NOTE.format(target=target))


def contents(target: Path, length: int, files: list[BundleFile], unread: Iterable[str]) -> dict[str, Any]:
    """Return what a bundle has, for programs."""
    rows = [
        {"name": each.name, "bytes": len(each.content), "about": each.about, "shortened": each.is_cut} for each in files
    ]
    return {"file": str(target), "bytes": length, "contents": rows, "not_read": sorted(unread)}


def contents_table(files: list[BundleFile]) -> Table:
    """Return the table of a bundle's files."""
    table = Table("FILE", box=None, pad_edge=False)
    table.add_column("BYTES", justify="right")
    table.add_column("WHAT")
    for each in files:
        table.add_row(each.name, f"{len(each.content):,}", each.about + (" (shortened)" if each.is_cut else ""))
    return table


def _write(target: Path, content: bytes) -> None:
    try:
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
    except OSError as error:
        raise OutputError(f"-o {target} can't be written: {reason_of(error)}") from error
