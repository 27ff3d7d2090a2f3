"""Changes the tempo of a stream at the same pitch.

Knows: FFmpeg's atempo filter, chained where one is not enough. A speed of 1 passes samples through bit for bit.
Does not know: sentences or formats.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
_SLOWEST: Final = 0.5  # atempo's own limit
_FASTEST: Final = 2.0  # above it, atempo skips samples instead of blending them


def tempo_factors(speed: float) -> tuple[float, ...]:
    """Return factors within the limits of one filter each, whose product is `speed`."""
    factors: list[float] = []
    while not _SLOWEST <= speed <= _FASTEST:
        factors.append(_SLOWEST if speed < _SLOWEST else _FASTEST)
        speed /= factors[-1]
    return (*factors, speed)


class Tempo:
    """The tempo filter of one request."""

    def __init__(self, speed: float, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._graph = None if speed == 1.0 else _graph(speed, sample_rate)

    def convert(self, samples: Samples) -> Samples:
        """Return the converted samples [m] that are complete so far."""
        if self._graph is None:
            return samples
        import av  # noqa: PLC0415

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="flt", layout="mono")
        frame.sample_rate = self._sample_rate
        self._graph.push(frame)
        return _joined(_pulled(self._graph))

    def finish(self) -> Samples:
        """Return the samples that are left in the filters."""
        if self._graph is None:
            return np.zeros(0, np.float32)
        self._graph.push(None)
        return _joined(_pulled(self._graph))


def _graph(speed: float, sample_rate: int) -> Any:
    import av.filter  # noqa: PLC0415 - only requests with another speed need it

    graph = av.filter.Graph()
    nodes = [graph.add_abuffer(format="flt", sample_rate=sample_rate, layout="mono")]
    nodes += [graph.add("atempo", f"{factor:.6f}") for factor in tempo_factors(speed)]
    nodes += [graph.add("aformat", "sample_fmts=flt"), graph.add("abuffersink")]
    for before, after in pairwise(nodes):
        before.link_to(after)
    graph.configure()
    return graph


def _pulled(graph: Any) -> Iterator[Samples]:
    import av  # noqa: PLC0415

    while True:
        try:
            yield graph.pull().to_ndarray()[0]
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _joined(parts: Iterator[Samples]) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *parts])
