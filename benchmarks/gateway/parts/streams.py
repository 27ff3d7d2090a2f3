"""500 streams of 88 KB/s side by side: processor time per second of a stream, and chunks that came late.

Knows: the goal. Does not know: how the ways are started.
"""

from __future__ import annotations

from dataclasses import replace

from clients.audio import CHUNK_SECONDS, SpokenText
from clients.http_client import Pool
from clients.load import request_of, side_by_side
from clients.outcomes import LATE_SECONDS, Outcome, chunk_figures, first_bytes, percentiles_ms
from parts.part import Goal, Measured, Options, Result, Row, alternate, processor_columns
from sides.processes import split_cores
from sides.scenario import Scenario, model_name
from sides.ways import GATEWAY, opened

PODS = 4
STREAMS = 500
PAUSE_MS = round(1000 * CHUNK_SECONDS)


def run(options: Options) -> Result:
    """Play the same streams through each way."""
    cores, result = split_cores(options.available), Result("streams")
    streams, seconds = options.pick(STREAMS, 10), options.pick(10.0, 1.0)
    text = SpokenText(chunks=round(seconds / CHUNK_SECONDS), pause_ms=PAUSE_MS)
    request, short = request_of(model_name(0), text), replace(text, chunks=2)

    async def load(pool: Pool) -> list[Outcome]:
        return await side_by_side(pool, request, streams, text)

    async def warm_up(pool: Pool) -> list[Outcome]:
        return await side_by_side(pool, request_of(model_name(0), short), streams, short)

    with opened(Scenario(pods=PODS), cores, profile=options.profile) as ways:
        measured = alternate(ways, 1, warm_up, load)
    result.rows = rows_of(measured, streams)
    result.goals.append(goal_of(measured[GATEWAY], streams))
    result.note_load(result.rows, cores)
    return result


def rows_of(measured: dict[str, Measured], streams: int) -> list[Row]:
    """Return one row for each way."""
    processor = processor_columns(measured, "stream-second", audio_seconds)
    rows = []
    for name, each in measured.items():
        chunks, first = chunk_figures(each.outcomes), percentiles_ms(first_bytes(each.outcomes))
        rows.append(
            {"way": name, "streams": streams, "chunks": chunks.chunks, "first byte p95 ms": first["p95"]}
            | {f"chunk age {percent} ms": value for percent, value in chunks.age_ms.items()}
            | {"max ms": chunks.max_age_ms, f"over {1000 * LATE_SECONDS:g} ms": chunks.late}
            | {"streams with underruns": chunks.streams_with_underruns}
            | processor[name]
            | each.shares()
        )
    return rows


def audio_seconds(measured: Measured) -> float:
    """Return the seconds of audio that all clients received."""
    return sum(outcome.audio_seconds for outcome in measured.outcomes)


def goal_of(gateway: Measured, streams: int) -> Goal:
    """Judge the underruns, late chunks and failures."""
    chunks = chunk_figures(gateway.outcomes)
    failed = sum(outcome.error is not None for outcome in gateway.outcomes)
    measured = f"{chunks.streams_with_underruns} underruns, {chunks.late} late chunks, {failed} failed"
    is_met = chunks.streams_with_underruns + chunks.late + failed == 0
    return Goal(f"{streams} streams without an underrun", measured, is_met)
