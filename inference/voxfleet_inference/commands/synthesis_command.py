"""`voxfleet-inference synthesize`: its options, and which of its two ways they ask for.

Knows: the options, which of them go together. Does not know: how a text is spoken (synthesize.py) or a request is
replayed (replay.py), which are imported when the command runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.commands.endings import FAILED_EXIT_CODE, USAGE_EXIT_CODE, end_with
from voxfleet_inference.commands.options import choices_of
from voxfleet_inference.commands.synthesis_options import SynthesisError, SynthesisOptions
from voxfleet_inference.settings import DTYPE_ALIASES, ServeSettings

# typer makes choices of Literals. These come from the tables that the server uses, so that a new format or device
# appears here by itself; mypy cannot read computed Literals and sees strings.
if TYPE_CHECKING:
    DeviceName: TypeAlias = str
    DtypeName: TypeAlias = str
else:
    DeviceName = Literal[choices_of(ServeSettings, "device")]
    DtypeName = Literal[(*DTYPE_ALIASES, *choices_of(ServeSettings, "dtype"))]

ModelPathOption = Annotated[Path, typer.Option(help="Folder of a VoxCPM checkpoint.", envvar="VOXFLEET_MODEL_PATH")]
OutputOption = Annotated[
    Path,
    typer.Option("-o", "--output", help=f"File to write; its ending is the format: {', '.join(FORMATS)}."),
]
TextOption = Annotated[str, typer.Option(help="Text to speak.")]
VoiceOption = Annotated[
    str, typer.Option(help="default, random, one of OpenAI's names, or the id or name of a voice in --voices-dir.")
]
ReferenceAudioOption = Annotated[Path | None, typer.Option(help="Recording of the voice to clone, 1 to 30 s.")]
ReferenceTextOption = Annotated[str, typer.Option(help="Exact transcript of the recording.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of the noise.")]
SpeedOption = Annotated[float, typer.Option(min=0.25, max=4, help="Speed of the speech, at the same pitch.")]
NormalizeOption = Annotated[
    bool, typer.Option("--normalize", help="Spell out numbers, dates and units before they are spoken.")
]
CfgValueOption = Annotated[float, typer.Option(min=1, max=10, help="Scale of classifier-free guidance.")]
InferenceTimestepsOption = Annotated[int, typer.Option(min=1, max=100, help="Solver points per patch.")]
NoiseFileOption = Annotated[
    Path | None, typer.Option(help="Safetensors file; its tensor `noise` replaces the noise of the seed.")
]
LatentsOutOption = Annotated[Path | None, typer.Option(help="Safetensors file to write the latents to.")]
MaxStepsOption = Annotated[int | None, typer.Option(min=1, help="Most patches per sentence.")]
SplitOption = Annotated[bool, typer.Option(help="Split the text into sentences.")]
RetryOption = Annotated[bool, typer.Option(help="Retry runaway sentences, as the server does.")]
DtypeOption = Annotated[DtypeName, typer.Option(help="Number format of the language models.")]
DeviceOption = Annotated[DeviceName, typer.Option(help="Where the model runs.")]
CpuThreadsOption = Annotated[
    int, typer.Option(min=0, max=1024, help="Threads on a CPU; 0: one for a small model, else one per processor.")
]
FromLogOption = Annotated[
    Path | None, typer.Option(help="Log of a server: replay the request that --request-id names.")
]
RequestIdOption = Annotated[str, typer.Option(help="X-Request-Id of the request to replay.")]
VoicesDirOption = Annotated[Path | None, typer.Option(help="Folder of stored voices.")]


def synthesize(  # noqa: PLR0913, PLR0917 - one parameter per flag
    model_path: ModelPathOption,
    output: OutputOption,
    text: TextOption = "",
    voice: VoiceOption = "",
    reference_audio: ReferenceAudioOption = None,
    reference_text: ReferenceTextOption = "",
    seed: SeedOption = 0,
    speed: SpeedOption = 1.0,
    normalize: NormalizeOption = False,  # noqa: FBT002
    cfg_value: CfgValueOption = 2.0,
    inference_timesteps: InferenceTimestepsOption = 10,
    noise_file: NoiseFileOption = None,
    latents_out: LatentsOutOption = None,
    max_steps: MaxStepsOption = None,
    split: SplitOption = True,  # noqa: FBT002
    retry: RetryOption = True,  # noqa: FBT002
    dtype: DtypeOption = "fp32",
    device: DeviceOption = "cpu",
    cpu_threads: CpuThreadsOption = 0,
    from_log: FromLogOption = None,
    request_id: RequestIdOption = "",
    voices_dir: VoicesDirOption = None,
) -> None:
    """Speak a text into a file, without a server.

    With --from-log and --request-id, replay a logged request to the bytes that its client received.
    """
    if from_log is not None:
        _replay(from_log, request_id, model_path, output, text, reference_audio, reference_text, voices_dir)
        return
    options = SynthesisOptions(
        model_path=model_path, text=text, output=output, voice=voice, voices_dir=voices_dir, speed=speed,
        normalizes=normalize, cpu_threads=cpu_threads, reference_audio=reference_audio,
        reference_text=reference_text, seed=seed, cfg_value=cfg_value, inference_timesteps=inference_timesteps,
        noise_file=noise_file, latents_out=latents_out, max_steps=max_steps, splits=split, retries=retry,
        dtype=DTYPE_ALIASES.get(dtype, dtype), device=device,
    )  # fmt: skip
    if problem := usage_problem(options):
        end_with(problem, USAGE_EXIT_CODE)
    _speak(options)


def usage_problem(options: SynthesisOptions) -> str:
    """Return which options are missing or do not go together; empty when they do."""
    if not options.text:
        return "--text is missing (or --from-log and --request-id)"
    if (options.reference_audio is None) != (not options.reference_text):
        return "--reference-audio and --reference-text go together"
    if options.voice and options.reference_audio is not None:
        return "--voice and --reference-audio are two voices; choose one"
    return ""


def _speak(options: SynthesisOptions) -> None:
    from voxfleet_inference.commands.synthesize import synthesize as run_synthesis  # noqa: PLC0415

    try:
        result = run_synthesis(options)
    except SynthesisError as error:
        end_with(str(error), FAILED_EXIT_CODE)
    typer.echo(f"{options.output}: {result.seconds:.2f} s, {len(result.patches)} patches")


def _replay(  # noqa: PLR0913, PLR0917 - as above
    log_file: Path, request_id: str, model_path: Path, output: Path, text: str, reference_audio: Path | None,
    reference_text: str, voices_dir: Path | None,
) -> None:  # fmt: skip
    from voxfleet_inference.commands.replay import ReplayError, ReplayOptions, replay  # noqa: PLC0415

    if not request_id:
        end_with("--from-log needs --request-id", USAGE_EXIT_CODE)
    options = ReplayOptions(
        log_file=log_file, request_id=request_id, model_path=model_path, output=output, text=text,
        reference_audio=reference_audio, reference_text=reference_text, voices_dir=voices_dir,
    )  # fmt: skip
    try:
        result = replay(options)
    except ReplayError as error:
        end_with(str(error), FAILED_EXIT_CODE)
    typer.echo(f"{output}: {result.bytes_written} bytes of {result.response_format}, as the client received them")
