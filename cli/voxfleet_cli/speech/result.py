"""What one spoken text became: a file, its length in time, and how soon it was there. Pure.

Knows: wav's header, response headers. Does not know: gateways, clocks, terminals.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DATA_CHUNK, FORMAT_CHUNK = b"data", b"fmt "
CHUNK_HEADER_BYTES = 8
SAMPLE_BYTES = {"pcm": 2, "mulaw": 1, "alaw": 1}  # of formats without headers, of one channel


@dataclass(frozen=True, slots=True)
class SpeechResult:
    """One response, written whole. `head`: its first bytes, in which a wav has its header."""

    file: str
    response_format: str
    length_bytes: int
    head: bytes
    first_audio_seconds: float
    total_seconds: float
    headers: Mapping[str, str]

    def line(self) -> str:
        """Return the report in one line."""
        region = self.headers.get("Voxfleet-Region", "")
        served = f", served by {region} ({self.headers.get('Voxfleet-Route', '')})" if region else ""
        samples, rate = self.samples(), self.sample_rate()
        audio = f", {samples / rate:.1f} s of audio" if samples is not None and rate else ""
        return (
            f"{self.file}: {self.length_bytes:,} bytes of {self.response_format}{audio}, first after "
            f"{self.first_audio_seconds:.2f} s, all after {self.total_seconds:.2f} s{served}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the report for programs; null for what a compressed format does not say without being decoded."""
        samples, rate = self.samples(), self.sample_rate()
        seed = self.headers.get("Voxfleet-Seed", "")
        return {
            "file": self.file,
            "format": self.response_format,
            "bytes": self.length_bytes,
            "seconds": round(samples / rate, 3) if samples is not None and rate else None,
            "samples": samples,
            "sample_rate": rate,
            "first_audio_ms": round(self.first_audio_seconds * 1000, 1),
            "total_ms": round(self.total_seconds * 1000, 1),
            "region": self.headers.get("Voxfleet-Region"),
            "route": self.headers.get("Voxfleet-Route"),
            "seed": int(seed) if seed.isdecimal() else None,
        }

    def sample_rate(self) -> int | None:
        """Return the samples of a second, as the response says."""
        found = self.headers.get("Voxfleet-Sample-Rate", "")
        return int(found) if found.isdecimal() else None

    def samples(self) -> int | None:
        """Return how many samples the audio has; None for a compressed format."""
        if (sample_bytes := SAMPLE_BYTES.get(self.response_format)) is not None:
            return self.length_bytes // sample_bytes
        format_at, data_at = self.head.find(FORMAT_CHUNK), self.head.find(DATA_CHUNK)
        frame_at = format_at + CHUNK_HEADER_BYTES + 12
        is_whole = 0 <= format_at < data_at and frame_at + 2 <= len(self.head)
        if self.response_format != "wav" or not is_whole:
            return None
        (frame_bytes,) = struct.unpack_from("<H", self.head, frame_at)
        audio_bytes = self.length_bytes - data_at - CHUNK_HEADER_BYTES
        return audio_bytes // frame_bytes if frame_bytes else None
