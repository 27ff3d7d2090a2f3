"""How many real-time streams the HTTP process serves on one core: the whole server without the model.

The real HTTP side (admission, pipe, pickling, resampling, encoding, uvicorn) runs pinned to one core. Behind its real
pipe a stub engine, on the other cores, sends each sentence one patch of 160 ms at a time on schedule, at most 32 rows a
step, as a GPU would. The peer, in the same run on the same core, is a bare Starlette app under the same uvicorn that
sends the same bytes on the same schedule: the cost of any Python server. A client's playback starts with its first
byte and the schedule is one patch ahead of it, so an underrun means that the HTTP side was 160 ms late.

    python benchmarks/http_streams --streams 50 100 200 --seconds 15
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from measuring import measure
from sides import SIDES, pin, run_side, run_stub


def main() -> None:
    """Measure and print; with the hidden options, run one of the measured processes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--streams", type=int, nargs="+", default=[50, 100, 200], help="concurrent clients, one row each"
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="duration per row of the table")
    parser.add_argument("--profile", type=Path, help="write a cProfile of the HTTP side here (it slows it down)")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    for hidden in ("--side", "--port", "--core", "--stub"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stub:
        run_stub(int(arguments.stub))
    elif arguments.side:
        pin({int(arguments.core)})
        run_side(arguments.side, int(arguments.port), arguments.profile)
    else:
        report(arguments)


def report(arguments: argparse.Namespace) -> None:
    """Print all rows, and the ratio of the server's processor time to its peer's."""
    cores = sorted(os.sched_getaffinity(0))
    pin(set(cores[1:]) or set(cores))  # the first core is for the measured side alone
    rows = []
    for streams in arguments.streams:
        for side in SIDES:
            rows.append(measure(side, cores[0], streams, arguments.seconds, arguments.profile))
            print(json.dumps(rows[-1]), flush=True)
        cost = [each["processor_ms_per_stream_second"] for each in rows[-2:]]
        print(f"{streams} streams: {cost[1] / cost[0]:.2f} times the peer's processor time", flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
