"""The command line: `voxfleet-inference serve | synthesize | bench | tiny-checkpoint | fetch`.

Knows: the commands and their options. What a command needs is imported when it runs, so that --help is quick.
Does not know: how anything is done.
"""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from voxfleet_inference.commands.options import command_of
from voxfleet_inference.settings import ServeSettings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=__doc__.split("\n")[0],
)


class Precision(enum.Enum):
    """Number formats, by the names that users of the original scripts know."""

    fp32 = "fp32"
    bf16 = "bf16"
    float32 = "float32"
    bfloat16 = "bfloat16"
    int8 = "int8"

    @property
    def torch_name(self) -> str:
        """The name that the engine knows."""
        return {"fp32": "float32", "bf16": "bfloat16"}.get(self.value, self.value)


class Device(enum.Enum):
    """Where a model can run."""

    cpu = "cpu"
    cuda = "cuda"


class SpokenFormat(enum.Enum):
    """OpenAI's `response_format`."""

    pcm = "pcm"
    wav = "wav"
    mp3 = "mp3"
    opus = "opus"
    aac = "aac"
    flac = "flac"


def _serve(settings: ServeSettings) -> None:
    """Serve speech over HTTP: OpenAI's speech API on port 6006, with a page to try it at /."""
    from voxfleet_inference.server.serve import serve  # noqa: PLC0415

    raise typer.Exit(serve(settings))


app.command("serve")(command_of(ServeSettings, _serve))


@app.command("synthesize")
def synthesize(  # noqa: PLR0913, PLR0917 - one parameter per flag
    model_path: Annotated[Path, typer.Option(help="Folder of a VoxCPM checkpoint.", envvar="VOXFLEET_MODEL_PATH")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Audio file; its ending is its format.")],
    text: Annotated[str, typer.Option(help="What to say.")] = "",
    reference_audio: Annotated[Path | None, typer.Option(help="A recording of the voice, 1 to 30 seconds.")] = None,
    reference_text: Annotated[str, typer.Option(help="What the recording says.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    cfg_value: Annotated[float, typer.Option(min=1, max=10, help="Strength of guidance.")] = 2.0,
    inference_timesteps: Annotated[int, typer.Option(min=1, max=100, help="Solver points per patch.")] = 10,
    noise_file: Annotated[Path | None, typer.Option(help="Safetensors file whose `noise` replaces the seed.")] = None,
    latents_out: Annotated[Path | None, typer.Option(help="Safetensors file to write the latents to.")] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Most patches per sentence.")] = None,
    split: Annotated[bool, typer.Option(help="Split the text into sentences.")] = True,  # noqa: FBT002
    retry: Annotated[bool, typer.Option(help="Try a sentence again that did not end.")] = True,  # noqa: FBT002
    dtype: Annotated[Precision, typer.Option(help="Number format of the language models.")] = Precision.fp32,
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = Device.cpu,
    from_log: Annotated[Path | None, typer.Option(help="A server's log: say one of its requests again.")] = None,
    request_id: Annotated[str, typer.Option(help="Which one; its X-Request-Id.")] = "",
    voices_dir: Annotated[Path | None, typer.Option(help="Folder with the voice of that request.")] = None,
) -> None:
    """Speak a text into a file, without a server; or, with --from-log, a logged request as it was sent."""
    if from_log is not None:
        _repeat(from_log, request_id, model_path, output, text, reference_audio, reference_text, voices_dir)
        return
    from voxfleet_inference.commands.synthesize import Synthesis, SynthesisError  # noqa: PLC0415
    from voxfleet_inference.commands.synthesize import synthesize as speak  # noqa: PLC0415

    if not text:
        _end_with("--text is missing (or --from-log and --request-id)", 2)
    if (reference_audio is None) != (not reference_text):
        _end_with("--reference-audio and --reference-text go together", 2)
    work = Synthesis(
        model_path=model_path, text=text, output=output, reference_audio=reference_audio,
        reference_text=reference_text, seed=seed, cfg_value=cfg_value, inference_timesteps=inference_timesteps,
        noise_file=noise_file, latents_out=latents_out, max_steps=max_steps, splits=split, retries=retry,
        dtype=dtype.torch_name, device=device.value,
    )  # fmt: skip
    try:
        spoken = speak(work)
    except SynthesisError as error:
        _end_with(str(error), 3)
    typer.echo(f"{output}: {spoken.seconds:.2f} s, {len(spoken.patches)} patches")


def _repeat(  # noqa: PLR0913, PLR0917 - as above
    log_file: Path, request_id: str, model_path: Path, output: Path, text: str, reference_audio: Path | None,
    reference_text: str, voices_dir: Path | None,
) -> None:  # fmt: skip
    from voxfleet_inference.commands.replay import Repeat, RepeatError, repeat  # noqa: PLC0415

    if not request_id:
        _end_with("--from-log needs --request-id", 2)
    work = Repeat(
        log_file=log_file, request_id=request_id, model_path=model_path, output=output, text=text,
        reference_audio=reference_audio, reference_text=reference_text, voices_dir=voices_dir,
    )  # fmt: skip
    try:
        repeated = repeat(work)
    except RepeatError as error:
        _end_with(str(error), 3)
    typer.echo(f"{output}: {repeated.bytes_written} bytes of {repeated.response_format}, as they were sent")


@app.command("bench")
def bench(  # noqa: PLR0913, PLR0917 - one parameter per flag
    url: Annotated[str, typer.Option(help="Where the server is; any that speaks OpenAI's speech API.")],
    model: Annotated[str, typer.Option(help="What to send as `model`.")] = "voxcpm-1.5",
    voice: Annotated[str, typer.Option(help="What to send as `voice`.")] = "default",
    audio_format: Annotated[SpokenFormat, typer.Option("--format", help="Format to ask for.")] = SpokenFormat.pcm,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Streams at a time.  [default: 1, in an open loop 1000]")
    ] = None,
    requests: Annotated[int | None, typer.Option(min=1, help="How many in all.  [default: 4 per stream]")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Begin no request after so long.  [default: in an open loop 30]")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Requests per second that come whether served or not (open loop).")
    ] = None,
    text_file: Annotated[Path | None, typer.Option(help="Texts, one per line, spoken in turn.")] = None,
    extra: Annotated[str, typer.Option(help='More fields of the request, as JSON: {"seed": 1}.')] = "{}",
    player_buffer: Annotated[float, typer.Option(min=0, help="Seconds that a player waits before it starts.")] = 0.0,
    pcm_rate: Annotated[int, typer.Option(min=8000, help="Rate of bare pcm, unless the server tells.")] = 24000,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that one request may take.")] = 300.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the open loop's arrivals.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write the figures to.")] = None,
) -> None:
    """Measure a speech server with many listeners at once: first audio, real-time factor, underruns, errors.

    A key is read from OPENAI_API_KEY. Ctrl-C shows what was measured so far.
    """
    from voxfleet_inference.bench.command import Bench, BenchError, plan_of  # noqa: PLC0415
    from voxfleet_inference.bench.command import bench as measure  # noqa: PLC0415

    try:
        work = Bench(
            url=url, model=model, voice=voice, audio_format=audio_format.value, text_file=text_file,
            plan=plan_of(concurrency, requests, seconds, rate, seed), extra=extra, pcm_rate=pcm_rate,
            api_key=os.environ.get("OPENAI_API_KEY"), head_start_seconds=player_buffer, timeout_seconds=timeout,
            json_file=json_file,
        )  # fmt: skip
        raise typer.Exit(measure(work))
    except BenchError as error:
        _end_with(str(error), 2)


@app.command("fetch")
def fetch(
    source: Annotated[str, typer.Option(help="hf://owner/name, a repository on the Hugging Face hub.")],
    target: Annotated[Path, typer.Option("--to", "--target", help="Folder to write to.")],
    revision: Annotated[str, typer.Option(help="Branch, tag or commit.")] = "main",
) -> None:
    """Download a checkpoint and check it; run again, it brings what is missing. A token is read from HF_TOKEN."""
    from voxfleet_inference.commands.fetch import FetchError, fetch_checkpoint  # noqa: PLC0415

    try:
        bytes_there = fetch_checkpoint(source, revision, target)
    except FetchError as error:
        _end_with(str(error), 3)
    typer.echo(f"{target}: {bytes_there} bytes of {source} at {revision}")


@app.command("tiny-checkpoint")
def tiny_checkpoint(
    folder: Annotated[Path, typer.Argument(help="Folder to write to.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random weights.")] = 0,
) -> None:
    """Write a tiny checkpoint with random weights: for trials and tests. It makes noise, not speech."""
    from voxfleet_inference.model.random_weights.tiny_checkpoint import write_tiny_checkpoint  # noqa: PLC0415

    write_tiny_checkpoint(folder, seed)
    typer.echo(f"wrote a tiny checkpoint with random weights (it makes noise, not speech) to {folder}")


def _end_with(message: str, exit_code: int) -> NoReturn:
    typer.echo(f"voxfleet-inference: {message}", err=True)
    raise typer.Exit(exit_code)
