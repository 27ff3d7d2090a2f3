"""Word errors of synthesized speech: spoken by the real server, recognised by Whisper.

python benchmarks/speech_errors gate   # the demo voice's limits; exit status 1 when one is missed
python benchmarks/speech_errors bench  # streams side by side, formats, number formats, retries
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bench import BENCH_COLUMNS, BenchOptions, run_bench
from display import Display
from gate import COLUMNS, GateOptions, measure
from limits import Limits, judge
from recognition.recogniser import Recogniser
from rich.console import Console
from speaking.sentences import load_sentences, spread
from speaking.synthesis import SpeechError

DEMO_CHECKPOINT = Path(__file__).parents[2] / "inference" / "models" / "demo"
FORMATS = ("fp32", "bf16", "int8")


def main() -> int:
    """Run a command; returns the exit status."""
    arguments = _parser().parse_args()
    if not (arguments.checkpoint / "config.json").is_file():
        print(f"{arguments.checkpoint} has no config.json; --checkpoint names a checkpoint's folder", file=sys.stderr)
        return 2
    console = Console(stderr=arguments.json == Path("-"))
    try:
        return int(arguments.command(arguments, console))
    except SpeechError as error:
        print(f"a request failed: {error}", file=sys.stderr)
        return 1


def run_gate(arguments: argparse.Namespace, console: Console) -> int:
    """Measure, print the table and the missed limits; returns 1 if there are any."""
    options = GateOptions(
        checkpoint=arguments.checkpoint,
        beside=arguments.beside,
        sentences=spread(load_sentences(), arguments.sentences),
        seeds=tuple(range(1, arguments.seeds + 1)),
        formats=tuple(arguments.formats.split(",")),
        demo_cfg=arguments.demo_cfg,
        voice=arguments.voice,
        with_reference=arguments.reference,
        threads=arguments.threads,
    )
    with Display(COLUMNS, console).showing() as display:
        result = measure(options, display, Recogniser(arguments.threads))
    figures = result.figures(options)
    failures = [] if figures is None else judge(figures, Limits())
    missed = (
        [f"{name}: {why}" for name, why in result.not_measured.items()] if figures is None else [*map(str, failures)]
    )
    for message in missed:
        console.print(f"missed: {message}", style="red", markup=False, soft_wrap=True)
    runs = [
        {"checkpoint": run.checkpoint.name, "side": run.side, "dtype": run.dtype, "cfg_value": run.cfg_value,
         "voice": run.voice, **measured.as_json()}
        for run, measured in result.measurements.items()
    ]  # fmt: skip
    _write(arguments, display, {"missed": missed, "runs": runs})
    return 1 if missed else 0


def run_speech_bench(arguments: argparse.Namespace, console: Console) -> int:
    """Measure every condition and print the table; returns 1 if audio differs where it must not."""
    options = BenchOptions(
        checkpoint=arguments.checkpoint,
        sentences=spread(load_sentences(), arguments.sentences),
        seeds=tuple(range(1, arguments.seeds + 1)),
        cfg_value=arguments.demo_cfg,
        voice=arguments.voice,
        threads=arguments.threads,
        only=tuple(filter(None, arguments.only.split(","))),
    )
    with Display(BENCH_COLUMNS, console).showing() as display:
        result = run_bench(options, display, Recogniser(arguments.threads))
    for message in result.violations:
        console.print(f"violated: {message}", style="red", markup=False, soft_wrap=True)
    rows = [{"condition": name, **measured.as_json()} for name, measured in result.measurements.items()]
    _write(arguments, display, {"violations": result.violations, "conditions": rows})
    return 1 if result.violations else 0


def _write(arguments: argparse.Namespace, display: Display, document: dict[str, Any]) -> None:
    table = display.markdown()
    if arguments.markdown is None:
        print(f"\n{table}", end="", file=sys.stderr if arguments.json == Path("-") else sys.stdout)
    else:
        arguments.markdown.write_text(table)
    if arguments.json is not None:
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        if arguments.json == Path("-"):
            sys.stdout.write(text)
        else:
            arguments.json.write_text(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="speech_errors", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    gate = commands.add_parser("gate", help="measure the demo voice and judge its limits")
    gate.set_defaults(command=run_gate)
    gate.add_argument("--beside", type=Path, metavar="PATH", help="another checkpoint, measured on the same sentences")
    gate.add_argument("--formats", default=",".join(FORMATS), help="number formats (default: %(default)s)")
    gate.add_argument(
        "--reference", action=argparse.BooleanOptionalAction, default=True, help="measure the reference package too"
    )
    gate.add_argument("--seeds", type=int, default=3, help="seeds per sentence (default: %(default)s)")
    bench = commands.add_parser("bench", help="measure one checkpoint under every condition")
    bench.set_defaults(command=run_speech_bench)
    bench.add_argument("--seeds", type=int, default=1, help="seeds per sentence (default: %(default)s)")
    bench.add_argument("--only", default="", metavar="WORDS", help="comma-separated parts of conditions' names to run")
    for each in (gate, bench):
        _add_common(each)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", type=Path, default=DEMO_CHECKPOINT, help="default: inference/models/demo")
    parser.add_argument("--demo-cfg", type=float, default=2.5, help="the quickstart's cfgValue (default: %(default)s)")
    parser.add_argument(
        "--sentences", type=int, default=60, help="how many; fewer than 32 fill no 32 streams (default: all)"
    )
    parser.add_argument("--voice", choices=("default", "random"), default="default", help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="of server and recogniser (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="figures and recognised texts; - for stdout")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the table; without it on stdout")


if __name__ == "__main__":
    sys.exit(main())
