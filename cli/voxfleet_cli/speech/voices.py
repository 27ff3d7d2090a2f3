"""`voxfleet voices list | show | add | delete`.

Knows: options, the fields of the voices API, what is printed. Does not know: how a gateway is reached (public_api.py).
"""

import json
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table

from voxfleet_cli.cluster import Body, Cluster
from voxfleet_cli.errors import UsageError, reason_of
from voxfleet_cli.options import (
    SYSTEM_NAMESPACE,
    ContextOption,
    KubeconfigOption,
    Output,
    OutputOption,
    SharedOptionsGroup,
    SystemNamespaceOption,
)
from voxfleet_cli.printing import print_table
from voxfleet_cli.speech.public_api import PublicApi, read_key
from voxfleet_cli.speech.speak import GatewayOption, GatewayRegionOption, KeyFileOption

PATH = "/v1/audio/voices"
JSON_TYPE = {"Content-Type": "application/json"}

app = typer.Typer(
    cls=SharedOptionsGroup,
    no_args_is_help=True,
    help="Add, list, show and delete the voices of a gateway. These options may stand after the command, too.",
)


@app.callback()
def voices(  # noqa: PLR0913, PLR0917  # an argument per option
    context: typer.Context,
    region: GatewayRegionOption = "",
    gateway: GatewayOption = "",
    key_file: KeyFileOption = None,
    system_namespace: SystemNamespaceOption = SYSTEM_NAMESPACE,
    kubeconfig: KubeconfigOption = None,
    kube_context: ContextOption = None,
) -> None:
    """Add, list, show and delete the voices of a gateway. These options may stand after the command, too."""
    # The key is read when a command runs: --help needs none.
    context.obj = lambda: PublicApi(
        Cluster(kubeconfig, kube_context), system_namespace, gateway, region, read_key(key_file)
    )


@app.command("list")
def list_voices(context: typer.Context, output: OutputOption = Output.TEXT) -> None:
    """List the built-in voices and those of the key's tenant."""
    found = context.obj().json("GET", PATH)
    if output is Output.JSON:
        sys.stdout.write(json.dumps(found.get("data") or [], indent=2) + "\n")
        return
    print_table(voices_table(found.get("data") or []), Console())


def voices_table(rows: list[Body]) -> Table:
    """Return the table of voices."""
    table = Table("ID", "NAME", "TYPE", "STATUS", "CREATED", box=None, pad_edge=False)
    for row in rows:
        created = row.get("created_at") or 0
        when = f"{datetime.fromtimestamp(created, UTC):%Y-%m-%d %H:%M}" if created else "-"
        status = row.get("status") or "ready"
        table.add_row(row["id"], row["name"], row.get("type", ""), status, when)
    return table


@app.command()
def show(
    context: typer.Context, voice: Annotated[str, typer.Argument(help="Its id.")], output: OutputOption = Output.TEXT
) -> None:
    """Show one voice: where it comes from, its transcript and consent, and whether it can be used."""
    found = context.obj().json("GET", f"{PATH}/{quote(voice, safe='')}")
    _print(found, output)


@app.command()
def add(  # noqa: PLR0913, PLR0917  # an argument per option
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The name to show.")],
    recording: Annotated[Path | None, typer.Option(help="An audio file of 1 to 30 seconds.")] = None,
    transcript: Annotated[str, typer.Option(help="What the recording says, word for word; or @FILE.")] = "",
    consent: Annotated[str, typer.Option(help="That, how and when the speaker agreed. Required for recordings.")] = "",
    seed: Annotated[int | None, typer.Option(min=0, help="Draw a voice instead of cloning one.")] = None,
    model: Annotated[str, typer.Option(help="With --seed: the model that draws it.")] = "",
    *,
    output: OutputOption = Output.TEXT,
) -> None:
    """Add a voice: from a recording with its speaker's consent, or drawn by a seed."""
    fields = {"transcript": read_text(transcript)} if transcript else {}
    if (recording is None) == (seed is None):
        raise UsageError("give --recording FILE with --transcript and --consent, or --seed N")
    if recording is None:
        fields |= {"name": name, **({"model": model} if model else {})}
        body, headers = json.dumps(fields | {"seed": seed}).encode(), JSON_TYPE
    else:
        fields = recorded_fields(name, fields.get("transcript", ""), consent)
        body, headers = form(fields, recording.name, read_recording(recording))
    _print(context.obj().json("POST", PATH, body, headers), output)


@app.command()
def delete(
    context: typer.Context, voice: Annotated[str, typer.Argument(help="Its id.")], output: OutputOption = Output.TEXT
) -> None:
    """Delete one of the key's own voices, at every gateway."""
    context.obj().json("DELETE", f"{PATH}/{quote(voice, safe='')}")
    if output is Output.JSON:
        sys.stdout.write(json.dumps({"id": voice, "deleted": True}, indent=2) + "\n")
    else:
        sys.stdout.write(f"voice {voice} is deleted\n")


def recorded_fields(name: str, transcript: str, consent: str) -> dict[str, str]:
    """Return the fields beside a recording. Raises UsageError, which names the option that is missing."""
    if not transcript.strip():
        raise UsageError("--transcript is needed: what the recording says, word for word, or @FILE")
    if not consent.strip():
        raise UsageError(
            "--consent is needed: that, how and when the speaker agreed, such as --consent 'Agreed in writing on 3 May'"
        )
    return {"name": name, "transcript": transcript, "consent": consent}


def read_text(given: str) -> str:
    """Return a text, or the content of a file that is given as @FILE. Raises UsageError."""
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--transcript {given} can't be read: {reason_of(error)}") from error


def read_recording(path: Path) -> bytes:
    """Return a recording. Raises UsageError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"--recording {path} can't be read: {reason_of(error)}") from error


def form(fields: dict[str, str], file_name: str, content: bytes) -> tuple[bytes, dict[str, str]]:
    """Return a form's body, and its headers."""
    boundary = uuid.uuid4().hex
    safe_name = "".join(each for each in file_name if each.isprintable() and each not in '"\\')
    parts = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    parts.append((f'name="audio_sample"; filename="{safe_name}"', content))
    lines = [
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + value + b"\r\n"
        for head, value in parts
    ]
    body = b"".join([*lines, f"--{boundary}--\r\n".encode()])
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def _print(voice: dict[str, Any], output: Output) -> None:
    if output is Output.JSON:
        sys.stdout.write(json.dumps(voice, indent=2) + "\n")
        return
    shown = {key: value for key, value in voice.items() if key != "object" and value not in ("", None)}
    width = max(len(key) for key in shown)
    sys.stdout.write("".join(f"{key:<{width}}  {value}\n" for key, value in shown.items()))
