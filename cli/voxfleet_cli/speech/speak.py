"""`voxfleet speak "text" -o out.wav`.

Knows: options, the clock, what is shown meanwhile. Does not know: how a gateway is reached (public_api.py), the fields
of a request (request.py).
"""

import json
import sys
import time
from pathlib import Path
from typing import Annotated, BinaryIO
from urllib.parse import quote

import typer
from rich.console import Console
from rich.status import Status

from voxfleet_cli.cluster import Cluster
from voxfleet_cli.errors import CliError, GatewayError, OutputError, UsageError, reason_of
from voxfleet_cli.options import (
    SYSTEM_NAMESPACE,
    ContextOption,
    JsonOption,
    KubeconfigOption,
    SystemNamespaceOption,
)
from voxfleet_cli.printing import say
from voxfleet_cli.speech.audio_file import HEADER_BYTES, opened
from voxfleet_cli.speech.public_api import PublicApi, read_key
from voxfleet_cli.speech.request import (
    STANDARD_OUTPUT,
    SpeechOptions,
    checked_text,
    format_of,
    only_model,
    wake_words,
)
from voxfleet_cli.speech.result import SpeechResult

PIECE_BYTES = 64 * 1024
GRACE_SECONDS = 30.0  # beyond the time that the request may be held

KeyFileOption = Annotated[Path | None, typer.Option("--key-file", help="An API key. Default: VOXFLEET_API_KEY.")]
GatewayOption = Annotated[str, typer.Option("--gateway", help="URL of the API. Default: a gateway of the cluster.")]
GatewayRegionOption = Annotated[str, typer.Option("--region", help="Ask a gateway of this region. Default: any.")]


def speak(  # noqa: PLR0913, PLR0917  # an argument per option
    target: Annotated[str, typer.Option("--output", "-o", help="A file, whose ending is the format; - for a pipe.")],
    text: Annotated[str, typer.Argument(help="Default: --file, or standard input.")] = "",
    file: Annotated[Path | None, typer.Option("--file", "-f", help="A file with the text.")] = None,
    voice: Annotated[str, typer.Option(help="A voice's id, or an OpenAI name.")] = "default",
    model: Annotated[str, typer.Option(help="Default: the only one.")] = "",
    audio_format: Annotated[str, typer.Option("--format", help="mp3, opus, aac, flac, wav, pcm, mulaw or alaw.")] = "",
    speed: Annotated[float, typer.Option(min=0.25, max=4.0, help="1 is the voice's own.")] = 1.0,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed is the same audio.")] = None,
    wait: Annotated[float, typer.Option(min=1, help="Seconds to wait for a region that wakes.")] = 600.0,
    region: GatewayRegionOption = "",
    gateway: GatewayOption = "",
    key_file: KeyFileOption = None,
    system_namespace: SystemNamespaceOption = SYSTEM_NAMESPACE,
    kubeconfig: KubeconfigOption = None,
    kube_context: ContextOption = None,
    *,
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Spell out numbers, dates and units before they are spoken.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Speak a text into a file or a pipe, as audio arrives; a region that sleeps wakes first.

    Exit codes: 0 all audio is written, 1 not, and no file is left, 2 an argument is wrong.
    """
    if as_json and target == STANDARD_OUTPUT:
        raise UsageError("--json prints to standard output, which has the audio with -o -: give -o FILE")
    response_format, spoken = format_of(target, audio_format), checked_text(_text(text, file))
    api = PublicApi(Cluster(kubeconfig, kube_context), system_namespace, gateway, region, read_key(key_file))
    name = only_model({} if model else api.json("GET", "/v1/models"), model)
    options = SpeechOptions(spoken, name, response_format, voice, speed, seed, normalize)
    console = Console(stderr=True)
    with console.status("asking the gateway") as status:
        _announce(api, name, console, status)
        result = _receive(api, options, target, wait)
    if as_json:
        sys.stdout.write(json.dumps(result.as_json(), indent=2) + "\n")
    else:
        say(console, result.line())


def _text(text: str, file: Path | None) -> str:
    if text and file:
        raise UsageError("give the text or --file, not both")
    try:
        if file is not None:
            return file.read_text(encoding="utf-8")
        if text in {"", "-"} and not sys.stdin.isatty():
            return sys.stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the text in {file or 'standard input'} can't be read: {reason_of(error)}") from error
    return "" if text == "-" else text


def _announce(api: PublicApi, model: str, console: Console, status: Status) -> None:
    """Wake the region that the request will go to, and say so; a refusal is the request's own to report."""
    path = f"/v1/models/{quote(model)}/wake"
    try:
        with api.request("POST", path, b"", is_checked=False) as response:
            is_known = response.status in {200, 202}
            content = response.read() if is_known else b""
    except CliError:
        return
    words = wake_words(json.loads(content)) if content else ""
    if words:
        say(console, words)
        status.update(words)


def _write(file: BinaryIO, piece: bytes, target: str) -> None:
    try:
        file.write(piece)
    except OSError as error:  # here, because around it an error is the connection's
        raise OutputError(f"-o {target} can't be written: {reason_of(error)}") from error


def _receive(api: PublicApi, options: SpeechOptions, target: str, wait_seconds: float) -> SpeechResult:
    """Write the audio as it arrives; return what it took."""
    headers = {"Content-Type": "application/json", "Prefer": f"wait={wait_seconds:.0f}"}
    begin, received, head = time.monotonic(), 0, b""
    timeout_seconds = wait_seconds + GRACE_SECONDS
    with (
        opened(target) as file,
        api.request("POST", "/v1/audio/speech", options.body(), headers, timeout_seconds=timeout_seconds) as response,
    ):
        first_seconds = time.monotonic() - begin
        while piece := response.read1(PIECE_BYTES):
            _write(file, piece, target)
            received += len(piece)
            head += piece[: HEADER_BYTES - len(head)]
        if response.length:
            raise GatewayError(f"the audio broke off after {received:,} bytes; {response.length:,} are missing")
    total_seconds = time.monotonic() - begin
    return SpeechResult(
        target, options.response_format, received, head, first_seconds, total_seconds, dict(response.headers)
    )
