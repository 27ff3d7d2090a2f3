"""The demo voice's gate: speaks the held-out sentences in every number format, and measures what is recognised.

Knows: which runs make which figure. Does not know: how limits are judged, or what is printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from display import Display
from limits import Figures
from recognition.measurement import Measurement, read_all
from recognition.recogniser import Recogniser
from speaking.sentences import Sentence
from speaking.server import Server, ServerError, ServerSettings, serving
from speaking.synthesis import SpeechSettings, Spoken, speak_all

STANDARD_CFG = 2.0  # the server's default
COLUMNS = ("checkpoint", "spoken by", "format", "cfg", "voice", "WER", "each seed", "right length", "RTF")
REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class GateOptions:
    """What is measured."""

    checkpoint: Path
    beside: Path | None
    sentences: tuple[Sentence, ...]
    seeds: tuple[int, ...]
    formats: tuple[str, ...]
    demo_cfg: float
    voice: str
    with_reference: bool
    threads: int

    @property
    def clips(self) -> int:
        """Sentences of one run."""
        return len(self.sentences) * len(self.seeds)


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the table: which checkpoint, spoken by what, with which settings."""

    checkpoint: Path
    side: str  # "server" or REFERENCE
    dtype: str
    cfg_value: float
    voice: str

    @property
    def name(self) -> str:
        """What progress bars call it."""
        return f"{self.checkpoint.name}, {self.side}, {self.dtype}, cfg {self.cfg_value:g}, voice {self.voice}"


def runs_of(options: GateOptions) -> list[Run]:
    """Return all runs; those of one server follow one another."""
    first = options.formats[0]
    runs = [Run(options.checkpoint, "server", first, cfg, options.voice) for cfg in _settings(options)]
    runs += [Run(options.checkpoint, "server", each, STANDARD_CFG, options.voice) for each in options.formats[1:]]
    if options.with_reference:
        runs.append(Run(options.checkpoint, REFERENCE, "fp32", STANDARD_CFG, options.voice))
    if options.beside is not None:
        runs += [Run(options.beside, "server", first, cfg, options.voice) for cfg in _settings(options)]
    return runs


def _settings(options: GateOptions) -> list[float]:
    return list(dict.fromkeys((STANDARD_CFG, options.demo_cfg)))


@dataclass(frozen=True, slots=True)
class GateResult:
    """Every run with what was measured, and the formats that could not be."""

    measurements: dict[Run, Measurement]
    not_measured: dict[str, str]

    def figures(self, options: GateOptions) -> Figures | None:
        """Return what the limits are about; None if the first format was not measured."""
        first = options.formats[0]
        ours = {run: each for run, each in self.measurements.items() if run.checkpoint == options.checkpoint}
        at_cfg_2 = {run: each for run, each in ours.items() if (run.cfg_value, run.voice) == _standard(options)}
        by_format = {run.dtype: each for run, each in at_cfg_2.items() if run.side == "server"}
        demo = Run(options.checkpoint, "server", first, options.demo_cfg, options.voice)
        if first not in by_format or demo not in ours:
            return None
        by_format |= {run.side: each for run, each in at_cfg_2.items() if run.side == REFERENCE}
        return Figures(
            word_error_rate=by_format[first].word_error_rate,
            demo_word_error_rate=ours[demo].word_error_rate,
            right_length_share=by_format[first].right_length_share,
            by_format={name: each.word_error_rate for name, each in by_format.items()},
            not_measured=self.not_measured,
        )


def _standard(options: GateOptions) -> tuple[float, str]:
    return STANDARD_CFG, options.voice


def measure(options: GateOptions, display: Display, recogniser: Recogniser) -> GateResult:
    """Make every run and add its row to the table."""
    result = GateResult({}, {})
    for runs in _by_server(runs_of(options)):
        try:
            for run, spoken in _speak(runs, options, display):
                with display.counting(f"{run.name}: recognising", options.clips) as advance:
                    measured = result.measurements[run] = read_all(spoken, recogniser, advance)
                display.add(*row_of(run, measured))
        except ServerError as error:
            prefix = "" if runs[0].checkpoint == options.checkpoint else f"{runs[0].checkpoint.name}, "
            result.not_measured[prefix + runs[0].dtype] = str(error)
            display.add(runs[0].checkpoint.name, "server", runs[0].dtype, "", "", f"not measured: {error}", "", "", "")
    return result


def row_of(run: Run, measured: Measurement) -> tuple[str, ...]:
    """Return a row of COLUMNS."""
    rates = " ".join(f"{rate:.3f}" for rate in measured.word_error_rates.values())
    return (
        run.checkpoint.name, run.side, run.dtype, f"{run.cfg_value:g}", run.voice, f"{measured.word_error_rate:.3f}",
        rates, f"{measured.right_length_share:.1%}", f"{measured.real_time_factor:.2f}",
    )  # fmt: skip


def _by_server(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Group neighbouring runs of one process."""
    group: list[Run] = []
    for run in runs:
        if group and (run.checkpoint, run.side, run.dtype) != (group[0].checkpoint, group[0].side, group[0].dtype):
            yield group
            group = []
        group.append(run)
    yield group


def _speak(runs: list[Run], options: GateOptions, display: Display) -> Iterator[tuple[Run, Spoken]]:
    """Speak the sentences of runs that share a process, and end it before the first is recognised."""
    if runs[0].side == REFERENCE:
        yield from _speak_by_reference(runs, options, display)
        return
    with serving(ServerSettings(runs[0].checkpoint, runs[0].dtype, options.threads)) as server:
        spoken = [(run, _speak_on(server, run, options, display)) for run in runs]
    yield from spoken


def _speak_on(server: Server, run: Run, options: GateOptions, display: Display) -> Spoken:
    settings = SpeechSettings(cfg_value=run.cfg_value, voice=run.voice)
    with display.counting(f"{run.name}: speaking", options.clips) as advance:
        return speak_all(server.url, options.sentences, options.seeds, settings, advance)


def _speak_by_reference(runs: list[Run], options: GateOptions, display: Display) -> Iterator[tuple[Run, Spoken]]:
    from speaking.reference import Reference  # noqa: PLC0415 - imports torch

    for run in runs:
        reference = Reference(run.checkpoint, cfg_value=run.cfg_value, voice=run.voice, threads=options.threads)
        with display.counting(f"{run.name}: speaking", options.clips) as advance:
            spoken = reference.speak_all(options.sentences, options.seeds, advance)
        yield run, spoken
