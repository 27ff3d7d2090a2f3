"""`python -m voxfleet_voice train --work DIR --preset full`: train the demo voice, or go on training it."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from voxfleet_voice.presets import PRESETS
from voxfleet_voice.stages import STAGES, begin_from
from voxfleet_voice.training.progress import write_line
from voxfleet_voice.workspace import Workspace


def main() -> None:
    """Run the stages that the arguments name."""
    parser = argparse.ArgumentParser(prog="voxfleet_voice", description="Train the demo voice.")
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("train", help="run all stages; what is done already is not done again")
    train.add_argument("--work", type=Path, required=True, metavar="DIR", help="folder for data and checkpoints")
    train.add_argument("--preset", choices=PRESETS, default="full", help="how much of everything (default: full)")
    train.add_argument("--stages", default=",".join(STAGES), help="comma-separated, default: %(default)s")
    train.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: %(default)s")
    train.add_argument("--begin-from", type=Path, metavar="DIR", help="checkpoint to begin a new folder with")
    arguments = parser.parse_args()
    stages = arguments.stages.split(",")
    if unknown := sorted(set(stages) - set(STAGES)):
        parser.error(f"unknown stages {', '.join(unknown)}; there are {', '.join(STAGES)}")
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    workspace = Workspace(arguments.work, PRESETS[arguments.preset])
    if arguments.begin_from and not workspace.basis.exists():
        begin_from(arguments.begin_from, workspace)
    for stage in stages:
        STAGES[stage](workspace, arguments.threads, write_line)


if __name__ == "__main__":
    main()
