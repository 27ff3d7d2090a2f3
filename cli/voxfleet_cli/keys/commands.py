"""`voxfleet keys create | list | rotate | revoke`.

Knows: options, and what is printed. A new key is printed once and stored nowhere: the Secret has its hash.
Does not know: how a change is made (changes.py) or stored (secrets.py).
"""

import json
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from voxfleet_cli.cluster import Cluster
from voxfleet_cli.keys.changes import Change, added, parse_duration, parse_expiry, revoked, rotated
from voxfleet_cli.keys.entries import KEY_PREFIX, StoredKey, new_entry, stored_keys
from voxfleet_cli.keys.secrets import ClusterStore, FileStore, Store, texts_of
from voxfleet_cli.options import Output, OutputOption, SharedOptionsGroup

KEY_BYTES = 32  # 256 bits, so that one round of SHA-256 is enough
ID_BYTES = 5
DEFAULT_SECRET = "voxfleet-keys"  # noqa: S105  # its name
LONGEST_LINE = 10_000  # cells are never cut; a terminal wraps long lines

app = typer.Typer(
    cls=SharedOptionsGroup,
    no_args_is_help=True,
    help="Manage the API keys of the gateways. These options may stand after the command, too.",
)


def _store(  # noqa: PLR0913, PLR0917  # an argument per option
    context: typer.Context,
    namespace: Annotated[str, typer.Option(help="The gateways' namespace.")] = "voxfleet-system",
    secret: Annotated[str, typer.Option(help="The Secret: the chart's gateway.keys.existingSecret.")] = DEFAULT_SECRET,
    kubeconfig: Annotated[str | None, typer.Option(help="Default: KUBECONFIG, ~/.kube/config.")] = None,
    kube_context: Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")] = None,
    file: Annotated[Path | None, typer.Option(help="Use the Secret's manifest in this file, and no cluster.")] = None,
) -> None:
    """Manage the API keys of the gateways."""
    if file is not None:
        context.obj = FileStore(file, secret, namespace)
    else:
        context.obj = ClusterStore(secret, namespace, Cluster(kubeconfig, kube_context))


app.callback()(_store)

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Write nothing; print the Secret's manifest.")]
ExpiresOption = Annotated[str | None, typer.Option(help="Lifetime (90d, 12h), or a time with its zone.")]


@app.command()
def create(  # noqa: PLR0913  # an argument per option
    context: typer.Context,
    tenant: Annotated[str, typer.Option(help="The tenant that the key's requests are accounted to.")],
    model: Annotated[list[str], typer.Option(help="namespace/name, a bare name, namespace/* or *; repeatable.")],
    expires: ExpiresOption = None,
    *,
    may_upload: Annotated[bool, typer.Option("--may-upload", help="Allow recordings in requests.")] = False,
    may_operate: Annotated[
        bool, typer.Option("--may-operate", help="Allow waking named regions, putting regions to sleep, and costs.")
    ] = False,
    hold: Annotated[
        str | None, typer.Option(help="How long requests whose client names no timeout may wait for a region (5m).")
    ] = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Create a key and print it, once."""
    now, key, key_id = _now(), _new_key(), _new_id()
    expires_at = parse_expiry(expires, now) if expires is not None else None
    rights = {"may_upload": may_upload, "may_operate": may_operate}
    hold_seconds = int(parse_duration(hold, "--hold").total_seconds()) if hold is not None else None
    entry = new_entry(key, now, tenant=tenant, models=model, expires_at=expires_at, hold_seconds=hold_seconds, **rights)
    _write(context.obj, added(key_id, entry), dry_run=dry_run)
    _print_new(StoredKey(key_id, entry), key, output, is_error=dry_run)


@app.command("list")
def list_keys(context: typer.Context, output: OutputOption = Output.TEXT) -> None:
    """List the keys: ids, tenants, rights and states, never the keys themselves."""
    now = _now()
    found = stored_keys(context.obj.read())
    if output is Output.JSON:
        sys.stdout.write(json.dumps([_row(each, now) for each in found], indent=2) + "\n")
        return
    table = Table(
        "ID", "TENANT", "MODELS", "UPLOADS", "OPERATES", "HOLD", "CREATED", "EXPIRES", "STATE", box=None, pad_edge=False
    )
    if not found:
        sys.stdout.write("no keys\n")
        return
    for each in found:
        row = _row(each, now)
        rights = ("yes" if row[name] else "no" for name in ("may_upload", "may_operate"))
        hold = None if row["hold_seconds"] is None else f"{row['hold_seconds']}s"
        times = (hold, row["created_at"], row["expires_at"])
        cells = (row["id"], row["tenant"], " ".join(row["models"]), *rights, *times)
        table.add_row(*(str(cell or "-") for cell in cells), row["state"])
    Console(width=LONGEST_LINE).print(table, markup=False, highlight=False)


@app.command()
def rotate(
    context: typer.Context,
    key_id: str,
    overlap: Annotated[str, typer.Option(help="How long the old key stays valid.")] = "24h",
    *,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Create a key with the same rights and lifetime, and let the old one expire after the overlap."""
    now, key, new_id = _now(), _new_key(), _new_id()
    change = rotated(key_id, new_id, key, now, parse_duration(overlap, "--overlap"))
    texts = _write(context.obj, change, dry_run=dry_run)
    (new,) = (each for each in stored_keys(texts) if each.key_id == new_id)
    _print_new(new, key, output, is_error=dry_run)


@app.command()
def revoke(context: typer.Context, key_id: str, *, dry_run: DryRunOption = False) -> None:
    """Remove a key; gateways refuse it as soon as their pods have the changed Secret."""
    _write(context.obj, revoked(key_id), dry_run=dry_run)
    if not dry_run:
        sys.stdout.write(f"key {key_id} is revoked\n")


def _write(store: Store, change: Change, *, dry_run: bool) -> dict[str, str]:
    """Write the change, or print what would be written; return the entries."""
    if not dry_run:
        return store.apply(change)
    manifest = store.preview(change)
    sys.stdout.write(yaml.safe_dump(manifest, sort_keys=False))
    return texts_of(manifest)


def _print_new(created: StoredKey, key: str, output: Output, *, is_error: bool) -> None:
    """Print a new key; to standard error beside a manifest, which may be redirected to a file."""
    row = _row(created, _now()) | {"key": key}
    stream = sys.stderr if is_error else sys.stdout
    if output is Output.JSON:
        stream.write(json.dumps(row, indent=2) + "\n")
        return
    models = " ".join(row["models"])
    stream.write(f"id      {row['id']}\ntenant  {row['tenant']}\nmodels  {models}\n")
    stream.write(f"expires {row['expires_at'] or 'never'}\nkey     {key}\n")
    sys.stderr.write("The key is shown this once: the Secret has its hash only.\n")


def _row(stored: StoredKey, now: datetime) -> dict[str, Any]:
    fields = stored.entry.model_dump(mode="json", exclude={"hash"}) if stored.entry is not None else {}
    names = ("tenant", "models", "created_at", "expires_at", "may_upload", "may_operate", "hold_seconds")
    row = {name: fields.get(name) for name in names}
    return {"id": stored.key_id, **row, "models": row["models"] or [], "state": stored.state(now)}


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _new_key() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)


def _new_id() -> str:
    return f"k-{secrets.token_hex(ID_BYTES)}"
