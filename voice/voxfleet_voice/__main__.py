"""`python -m voxfleet_voice train --work DIR --preset full`: train the demo voice, or go on training it.

`python -m voxfleet_voice durations < texts` prints how long the teacher speaks each line.
`python -m voxfleet_voice average DIR DIR --to DIR` writes the mean of the weights of two checkpoints.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch

from voxfleet_voice.export.averaging import DifferentCheckpointsError, write_mean
from voxfleet_voice.presets import PRESETS
from voxfleet_voice.stages import STAGES, begin_from
from voxfleet_voice.teacher.durations import UnspeakableError, spoken_seconds
from voxfleet_voice.teacher.hibari_voice import HibariVoice
from voxfleet_voice.training.progress import write_line
from voxfleet_voice.workspace import Workspace


def main() -> None:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="voxfleet_voice", description="Train the demo voice.")
    commands = parser.add_subparsers(required=True, dest="command")
    train = commands.add_parser("train", help="run all stages; what is done already is not done again")
    train.add_argument("--work", type=Path, required=True, metavar="DIR", help="folder for data and checkpoints")
    train.add_argument("--preset", choices=PRESETS, default="full", help="how much of everything (default: full)")
    train.add_argument("--stages", default=",".join(STAGES), help="comma-separated, default: %(default)s")
    train.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: %(default)s")
    train.add_argument("--begin-from", type=Path, metavar="DIR", help="checkpoint to begin a new folder with")
    commands.add_parser("durations", help="print the seconds that the teacher speaks for each line of stdin")
    average = commands.add_parser("average", help="write the mean of checkpoints that one run went through")
    average.add_argument("checkpoints", type=Path, nargs="+", metavar="DIR", help="the first gives all other files")
    average.add_argument("--to", type=Path, required=True, metavar="DIR", help="a new folder")
    arguments = parser.parse_args()
    try:
        if arguments.command == "durations":
            print_durations(sys.stdin)
        elif arguments.command == "average":
            write_mean(arguments.checkpoints, arguments.to)
        else:
            run_stages(arguments)
    except (UnspeakableError, UnknownStageError, DifferentCheckpointsError) as error:
        parser.error(str(error))


class UnknownStageError(Exception):
    """--stages has a name that is no stage."""


def run_stages(arguments: argparse.Namespace) -> None:
    """Run the stages that the arguments name.

    Raises:
        UnknownStageError: a name is no stage.
    """
    stages = arguments.stages.split(",")
    if unknown := sorted(set(stages) - set(STAGES)):
        raise UnknownStageError(f"unknown stages {', '.join(unknown)}; there are {', '.join(STAGES)}")
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    workspace = Workspace(arguments.work, PRESETS[arguments.preset])
    if arguments.begin_from and not workspace.basis.exists():
        begin_from(arguments.begin_from, workspace)
    for stage in stages:
        STAGES[stage](workspace, arguments.threads, write_line)


def print_durations(lines: Iterable[str]) -> None:
    """Print seconds, a tab and the text of each line that is not empty.

    Raises:
        UnspeakableError: the teacher cannot speak a line as one sentence.
    """
    with tempfile.TemporaryDirectory() as folder:
        voice = HibariVoice(Path(folder))
        for text in filter(None, map(str.strip, lines)):
            sys.stdout.write(f"{spoken_seconds(text, voice):.2f}\t{text}\n")


if __name__ == "__main__":
    main()
