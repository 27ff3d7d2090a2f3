"""Counts the frames of MP3 and of AAC in ADTS: each header says how long its frame is, in bytes and in time. Pure.

Knows: both headers; the first frame of an MP3 file that holds its length and no audio. Bytes that are no frame are
skipped up to the next header. Does not know: what a decoder adds or drops at the beginning (some 50 ms).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

Buffer = bytes | bytearray

# kbit/s of layer III by the header's index: version 1, and versions 2 and 2.5 with lower sample rates.
KBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
KBITS_LOW = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
MP3_RATES = (44_100, 48_000, 32_000)
RATE_DIVISORS = {3: 1, 2: 2, 0: 4}  # of version 1, 2 and 2.5, by the header's two bits
AAC_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350)
AAC_SAMPLES = 1024
MAX_MISSES = 1000  # in a stream: the speech server sends nothing but frames
LENGTH_TAGS = (b"Xing", b"Info")
LENGTH_TAG_END = 40  # after the largest side information


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, as its header describes it."""

    size_bytes: int
    seconds: float


def mp3_frame(data: Buffer, at: int) -> Frame | None:
    """Return the frame whose header is at this place; None for bytes that are no header."""
    if data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:  # noqa: PLR2004  # the frame sync, and layer III
        return None
    divisor = RATE_DIVISORS.get(data[at + 1] >> 3 & 3)
    rate_index, kbits_index = data[at + 2] >> 2 & 3, data[at + 2] >> 4
    if divisor is None or rate_index == len(MP3_RATES):
        return None
    kbits = (KBITS if divisor == 1 else KBITS_LOW)[kbits_index]
    rate, samples = MP3_RATES[rate_index] // divisor, 1152 if divisor == 1 else 576
    size_bytes = samples // 8 * kbits * 1000 // rate + (data[at + 2] >> 1 & 1)
    return Frame(size_bytes, samples / rate) if kbits else None


def adts_frame(data: Buffer, at: int) -> Frame | None:
    """Return the frame whose header is at this place; None for bytes that are no header."""
    if data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:  # noqa: PLR2004  # the frame sync, and layer 0
        return None
    rate_index = data[at + 2] >> 2 & 15
    size_bytes = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    if rate_index >= len(AAC_RATES) or size_bytes < ADTS_HEADER_BYTES:
        return None
    return Frame(size_bytes, AAC_SAMPLES * ((data[at + 6] & 3) + 1) / AAC_RATES[rate_index])


MP3_HEADER_BYTES, ADTS_HEADER_BYTES = 4, 7


@dataclass(slots=True)
class MpegFrames:
    """The frames of one stream; keeps less than one frame."""

    parse: Callable[[Buffer, int], Frame | None]
    header_bytes: int
    pending: bytearray = field(default_factory=bytearray)
    frames: int = 0
    misses: int = 0  # what looked like a header and was none
    total_seconds: float = 0.0

    def feed(self, chunk: bytes) -> None:
        """Count the frames that are complete with these bytes."""
        if self.misses > MAX_MISSES:
            return
        self.pending += chunk
        at, end = 0, len(self.pending)
        while at + self.header_bytes <= end and self.misses <= MAX_MISSES:
            frame = self.parse(self.pending, at)
            if frame is None:
                self.misses += 1
                at = self.pending.find(b"\xff", at + 1)
                at = end if at < 0 else at
                continue
            if at + frame.size_bytes > end:
                break
            self._count(frame, at)
            at += frame.size_bytes
        del self.pending[:at]

    def _count(self, frame: Frame, at: int) -> None:
        self.frames += 1
        if self.frames > 1 or not any(tag in self.pending[at : at + LENGTH_TAG_END] for tag in LENGTH_TAGS):
            self.total_seconds += frame.seconds

    def seconds(self) -> float | None:
        """Return the length of all complete frames; None when there was none, or too much else."""
        return self.total_seconds if self.frames and self.misses <= MAX_MISSES else None


def mp3_frames() -> MpegFrames:
    """Return a counter of MP3."""
    return MpegFrames(mp3_frame, MP3_HEADER_BYTES)


def adts_frames() -> MpegFrames:
    """Return a counter of AAC in ADTS."""
    return MpegFrames(adts_frame, ADTS_HEADER_BYTES)
