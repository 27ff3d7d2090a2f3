"""The work of one process: measure the given parts on one model.

Knows: which function measures which part. Does not know: what other processes do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import torch
from comparisons import measure_contexts, measure_kernels, measure_plain
from engine_streams import measure_streams, measure_text
from kernel_profile import measure_profile
from model_under_test import ModelUnderTest, machine
from parity_checks import measure_parity
from part_supervisor import NO_DEVICE, PARTS, WITHOUT_MODEL
from reference_package import measure_reference
from result_file import DeadDeviceError, Measure, ResultFile, Results, print_line
from step_times import measure_steps

DEAD = 3  # exit status


def measure(asked: argparse.Namespace) -> int:
    """Measure the parts in `asked.parts`, in their order; returns the exit status."""
    if asked.device == "cuda" and not torch.cuda.is_available():
        print_line("no usable CUDA device: `--device cpu --size tiny` proves every line of this command without one")
        return NO_DEVICE
    began = time.monotonic()
    torch.zeros(1, device=asked.device)  # the driver's own start
    before = {"imports_seconds": asked.imports_seconds, "device_seconds": round(time.monotonic() - began, 3)}
    ends = began + asked.seconds
    target = ModelUnderTest(
        torch.device(asked.device), asked.size, asked.rows, asked.codec, print_line, asked.mode, before
    )
    record, measures = ResultFile(asked.into), table_of(target, asked)
    record.save("machine", machine(target.device, asked.size) | {"mode": asked.mode, "most_rows": asked.rows})
    try:
        _prepare(record, target, asked.parts, ends)
        for part in asked.parts:
            if part != "start" and (target.is_started or part in WITHOUT_MODEL):
                record.part(part, measures[part], min(time.monotonic() + PARTS[part], ends))
    except DeadDeviceError as error:
        print_line(f"{error}: every later call to the device would fail, a new process has to continue")
        return DEAD
    if target.is_started:
        record.save("memory", target.memory())
    return 0


def table_of(target: ModelUnderTest, asked: argparse.Namespace) -> dict[str, Measure]:
    """Return the function that measures each part."""
    return {
        "parity": lambda deadline: measure_parity(target, deadline),
        "steps": lambda deadline: measure_steps(target, asked.batches, deadline),
        "streams": lambda deadline: measure_streams(target, asked.streams, asked.patches, deadline),
        "text": lambda deadline: measure_text(target, asked.text_patches, deadline),
        "kernels": lambda deadline: measure_kernels(target, deadline),
        "contexts": lambda deadline: measure_contexts(target, deadline),
        "profile": lambda deadline: measure_profile(target, asked.batches, deadline),
        "plain": lambda deadline: measure_plain(target, asked.batches, deadline),
        "reference": lambda deadline: measure_reference(target, deadline),
    }


def _prepare(record: ResultFile, target: ModelUnderTest, parts: tuple[str, ...], ends: float) -> None:
    """Start the model, which every process that measures it has to do; the first one's times are the result."""
    if set(parts) <= set(WITHOUT_MODEL):
        return
    name = "start" if "start" in parts else "start_again"

    def phases(deadline: float) -> Iterator[Results]:
        yield from target.start(deadline)

    record.part(name, phases, min(time.monotonic() + PARTS["start"], ends))
