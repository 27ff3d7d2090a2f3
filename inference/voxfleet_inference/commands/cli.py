"""Serve VoxCPM 1.5 speech over HTTP, synthesize files, benchmark speech servers, fetch checkpoints.

Knows: the commands and their options. Each command imports what it needs when it runs: torch and a web server take
seconds, and --help needs neither.
Does not know: how anything is done.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from voxfleet_inference import __version__
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.commands.endings import (
    FAILED_EXIT_CODE,
    TRY_AGAIN_EXIT_CODE,
    USAGE_EXIT_CODE,
    end_with,
)
from voxfleet_inference.commands.options import command_of
from voxfleet_inference.commands.synthesis_command import synthesize
from voxfleet_inference.settings import ServeSettings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

# typer makes choices of Literals. This comes from the table that the server uses, so that a new format appears here by
# itself; mypy cannot read computed Literals and sees strings.
if TYPE_CHECKING:
    FormatName: TypeAlias = str
else:
    FormatName = Literal[tuple(FORMATS)]


def _print_version(is_asked: bool) -> None:  # noqa: FBT001 - as typer calls it
    if is_asked:
        typer.echo(f"voxfleet-inference {__version__}")
        raise typer.Exit


@app.callback()
def voxfleet_inference(
    *,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Serve VoxCPM 1.5 speech over HTTP, synthesize files, benchmark speech servers, fetch checkpoints."""


def _serve(settings: ServeSettings) -> None:
    """Serve OpenAI's speech API over HTTP.

    The API is on port 6006, with a web page to try it at /. Each option is an environment variable too.
    """
    from voxfleet_inference.server.serve import serve  # noqa: PLC0415

    raise typer.Exit(serve(settings))


app.command("serve")(command_of(ServeSettings, _serve))


app.command("synthesize")(synthesize)


@app.command("bench")
def bench(  # noqa: PLR0913, PLR0917 - one parameter per flag
    url: Annotated[str, typer.Option(help="Base URL, with or without /v1, of a server with OpenAI's speech API.")],
    model: Annotated[str, typer.Option(help="`model` of each request.")] = "voxcpm-1.5",
    voice: Annotated[str, typer.Option(help="`voice` of each request.")] = "default",
    audio_format: Annotated[FormatName, typer.Option("--format", help="`response_format` of each request.")] = "pcm",
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Concurrent streams.  [default: 1, with --rate 1000]")
    ] = None,
    requests: Annotated[
        int | None, typer.Option(min=1, help="Requests in all.  [default: 4 per stream, with --rate no limit]")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Start no request after this time.  [default: with --rate 30]")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Open loop: start this many requests per second, served or not.")
    ] = None,
    text_file: Annotated[Path | None, typer.Option(help="File of texts, one per line, sent in turn.")] = None,
    extra: Annotated[str, typer.Option(help='More JSON fields of each request, such as {"seed": 1}.')] = "{}",
    player_buffer: Annotated[
        float, typer.Option(min=0, help="Seconds that the simulated player waits after the first audio.")
    ] = 0.0,
    pcm_rate: Annotated[
        int, typer.Option(min=8000, help="Sample rate of pcm in Hz, for servers that do not send it as a header.")
    ] = 24000,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds after which a request counts as failed.")] = 300.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the arrival times of the open loop.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write the results to.")] = None,
) -> None:
    """Measure a speech server under load.

    Prints latency of the first audio, real-time factor, underruns of simulated players, and errors. OPENAI_API_KEY, if
    set, is sent as bearer token. Ctrl-C ends the run and prints the results so far.
    """
    from voxfleet_inference.bench.command import BenchError, BenchOptions, plan_of, run_bench  # noqa: PLC0415

    try:
        options = BenchOptions(
            url=url, model=model, voice=voice, audio_format=audio_format, text_file=text_file,
            plan=plan_of(concurrency, requests, seconds, rate, seed), extra=extra, pcm_rate=pcm_rate,
            api_key=os.environ.get("OPENAI_API_KEY"), head_start_seconds=player_buffer, timeout_seconds=timeout,
            json_file=json_file,
        )  # fmt: skip
        raise typer.Exit(run_bench(options))
    except BenchError as error:
        end_with(str(error), USAGE_EXIT_CODE)


@app.command("fetch")
def fetch(  # noqa: PLR0913, PLR0917 - one parameter per flag
    source: Annotated[
        str, typer.Option(help="hf://owner/name, a repository on the Hugging Face hub, or s3://bucket/prefix.")
    ],
    target: Annotated[Path, typer.Option("--to", "--target", help="Folder to write to.")],
    revision: Annotated[str, typer.Option(help="Branch, tag or commit of hf://.")] = "main",
    evict: Annotated[  # noqa: FBT002
        bool, typer.Option("--evict", help="Before a download, delete all but the newest weights beside the folder.")
    ] = False,
    progress_port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Port that answers GET /internal/progress meanwhile.")
    ] = None,
    error_file: Annotated[
        Path | None, typer.Option(help="File that gets the reason of a failure, such as /dev/termination-log.")
    ] = None,
) -> None:
    """Download a checkpoint and verify it.

    A complete folder is left alone, an interrupted download is resumed, and files get their names when all are
    verified. HF_TOKEN, if set, is sent as bearer token; HF_ENDPOINT names a mirror. s3:// takes the variables of AWS'
    tools: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, AWS_REGION. Ends with 3 when only a change helps,
    with 75 when a retry may.
    """
    from voxfleet_inference.commands.fetch import fetch_checkpoint  # noqa: PLC0415
    from voxfleet_inference.fetching.errors import FetchError, PassingError  # noqa: PLC0415

    try:
        fetched = fetch_checkpoint(source, revision, target, evicts=evict, progress_port=progress_port)
    except FetchError as error:
        if error_file is not None:
            error_file.write_text(str(error), encoding="utf-8")
        end_with(str(error), TRY_AGAIN_EXIT_CODE if isinstance(error, PassingError) else FAILED_EXIT_CODE)
    commit = f" (commit {fetched.resolved})" if fetched.resolved else ""
    was_there = "" if fetched.downloaded else "; it was complete, and nothing was downloaded"
    typer.echo(f"{target}: {fetched.size} bytes of {source} at {revision}{commit}{was_there}")


@app.command("normalize")
def normalize(
    text: Annotated[str, typer.Argument(help="Text to normalize.")] = "",
    rules: Annotated[bool, typer.Option("--rules", help="Print the table of rules, each with its example.")] = False,  # noqa: FBT002
) -> None:
    """Print how a text is read with `normalize`.

    It is what the model is given, a line per sentence.

    With --rules, print the rules that run before wetext instead.
    """
    from voxfleet_inference.commands.normalize import NormalizeError, reading_lines, rule_lines  # noqa: PLC0415

    if rules == bool(text):
        end_with("give a text, or --rules", USAGE_EXIT_CODE)
    try:
        for line in rule_lines() if rules else reading_lines(text):
            typer.echo(line)
    except NormalizeError as error:
        end_with(str(error), USAGE_EXIT_CODE)


@app.command("tiny-checkpoint")
def tiny_checkpoint(
    folder: Annotated[Path, typer.Argument(help="Folder to write to.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random weights.")] = 0,
) -> None:
    """Write a tiny checkpoint for tests.

    Its weights are random: a server with it makes noise, not speech.
    """
    from voxfleet_inference.model.random_weights.tiny_checkpoint import write_tiny_checkpoint  # noqa: PLC0415

    write_tiny_checkpoint(folder, seed)
    typer.echo(f"wrote a tiny checkpoint with random weights (it makes noise, not speech) to {folder}")
