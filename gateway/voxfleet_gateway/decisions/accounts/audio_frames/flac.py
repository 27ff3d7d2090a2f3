"""Counts the frames of a FLAC stream: each header says how many samples follow, and nothing says how many bytes. Pure.

Knows: RFC 9639. A frame ends where the next one begins, which is where a header has the right checksum and the number
that follows; the last one is complete when its own checksum is right. Does not know: what is in a frame.
"""

import re
from dataclasses import dataclass, field, replace

MARKER = b"fLaC"
STREAM_INFO_END = 4 + 4 + 18  # of the marker, the block's header, and the block up to the sample rate's end
RATE_AT = 4 + 4 + 10
LONGEST_HEADER = 16
SYNC = re.compile(rb"\xff[\xf8\xf9]")
MAX_MISSES = 1000  # in one frame; of random bytes, two in 65,536 begin like a header
MAX_FRAME_BYTES = 2**20  # 65,535 samples of 24 bits in two channels have 400,000
BLOCK_SIZES = {1: 192, **{code: 144 << code for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}
EXPLICIT_BYTES = {6: 1, 7: 2}  # block sizes that follow the header, by their code
RATE_BYTES = {12: 1, 13: 2, 14: 2}  # as for rates


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    top, mask = 1 << (bits - 1), (1 << bits) - 1
    table = []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
        table.append(value)
    return tuple(table)


CRC8, CRC16 = _table(0x07, 8), _table(0x8005, 16)


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What a frame's header says."""

    number: int  # of the frame, or of its first sample
    samples: int
    is_variable: bool

    def follows(self, before: "FrameHeader | None") -> bool:
        """Whether this can be the next frame of the same stream, or the first of another."""
        if before is None or self.is_variable != before.is_variable:
            return self.number == 0
        return self.number in {before.number + (before.samples if before.is_variable else 1), 0}


@dataclass(slots=True)
class FlacFrames:
    """The frames of one response; keeps one frame."""

    pending: bytearray = field(default_factory=bytearray)  # from the present frame on
    scanned: int = 0  # of them: no header begins before
    rate: int = 0
    header: FrameHeader | None = None  # of the present frame
    samples: int = 0  # of the frames before
    misses: int = 0  # in it: what looked like a header and was none
    is_lost: bool = False  # no header where one must be

    def feed(self, chunk: bytes) -> None:
        """Count the frames that are complete with these bytes."""
        if self.is_lost:
            return
        self.pending += chunk
        if self.rate or self._read_rate():
            self._split()
        if len(self.pending) > MAX_FRAME_BYTES or self.misses > MAX_MISSES:
            self._give_up()

    def _split(self) -> None:
        """Count every frame whose successor begins."""
        at = self._next_sync(self.scanned)
        while at + LONGEST_HEADER <= len(self.pending) and self.misses <= MAX_MISSES:
            header = parse_header(self.pending, at)
            if header is None or not header.follows(self.header):
                self.misses += 1
                at = self._next_sync(at + 1)
                continue
            self.samples += self.header.samples if self.header is not None else 0
            self.header = header
            del self.pending[:at]
            at, self.misses = self._next_sync(1), 0
        self.scanned = at

    def _next_sync(self, start: int) -> int:
        """Return where the next header may begin; its second byte may be yet to come."""
        found = SYNC.search(self.pending, start)
        if found is not None:
            return found.start()
        return max(start, len(self.pending) - 1) if self.pending.endswith(b"\xff") else len(self.pending)

    def _read_rate(self) -> bool:
        """Read the sample rate from the first bytes; return False until there are enough."""
        if not self.pending.startswith(MARKER[: len(self.pending)]):
            self._give_up()
            return False
        if len(self.pending) < STREAM_INFO_END:
            return False
        self.rate = int.from_bytes(self.pending[RATE_AT : RATE_AT + 3], "big") >> 4  # 20 bits
        if not self.rate:
            self._give_up()
        self.scanned = STREAM_INFO_END
        return bool(self.rate)

    def _give_up(self) -> None:
        self.is_lost = True
        self.pending.clear()

    def seconds(self) -> float | None:
        """Return the length of all complete frames; None for anything but FLAC."""
        if self.is_lost or not self.rate:
            return None
        padding = bytes(LONGEST_HEADER)  # so that short frames at the very end have room for a header
        end = replace(self, pending=self.pending + padding)
        end._split()  # noqa: SLF001  # a copy
        is_complete = end.header is not None and _ends_near(end.pending[: -len(padding)])
        return (end.samples + (end.header.samples if end.header is not None and is_complete else 0)) / self.rate


def _ends_near(frame: bytearray) -> bool:
    """Whether the frame ends with these bytes, or with the beginning of another's header after it."""
    value, least = 0, len(frame) - LONGEST_HEADER
    for at, byte in enumerate(frame):
        if value == 0 and at > max(least, 0) and byte == 0xFF:  # noqa: PLR2004
            return True
        value = (value << 8 & 0xFF00) ^ CRC16[value >> 8 ^ byte]
    return value == 0


def parse_header(data: bytes | bytearray, at: int) -> FrameHeader | None:
    """Return the header at this place, which has LONGEST_HEADER bytes to read; None for bytes that are none."""
    if data[at] != 0xFF or data[at + 1] & 0xFE != 0xF8 or data[at + 3] & 1:  # noqa: PLR2004  # the frame sync
        return None
    size_code, rate_code = data[at + 2] >> 4, data[at + 2] & 15
    number, end = _coded_number(data, at + 4)
    if number is None or size_code == 0 or rate_code == 15:  # noqa: PLR2004  # both are reserved
        return None
    samples = BLOCK_SIZES.get(size_code, 0)
    if (width := EXPLICIT_BYTES.get(size_code, 0)) > 0:
        samples = int.from_bytes(data[end : end + width], "big") + 1
    end += width + RATE_BYTES.get(rate_code, 0)
    if checksum8(data[at:end]) != data[end]:
        return None
    return FrameHeader(number, samples, is_variable=bool(data[at + 1] & 1))


def _coded_number(data: bytes | bytearray, at: int) -> tuple[int | None, int]:
    """Return a number in the form of UTF-8, up to 36 bits, and where it ends; None for bytes that are none."""
    first = data[at]
    if first < 0x80:  # noqa: PLR2004
        return first, at + 1
    more = 0
    while first & 0x40 >> more:
        more += 1
    if not 1 <= more <= 6:  # noqa: PLR2004
        return None, at
    number = first & 0x3F >> more
    for byte in data[at + 1 : at + 1 + more]:
        if byte & 0xC0 != 0x80:  # noqa: PLR2004
            return None, at
        number = number << 6 | byte & 0x3F
    return number, at + 1 + more


def checksum8(data: bytes | bytearray) -> int:
    """Return the checksum that a header ends with."""
    value = 0
    for byte in data:
        value = CRC8[value ^ byte]
    return value
