"""Counts Opus in Ogg: each page says at which sample it ends, at 48 kHz, from the first page's pre-skip on. Pure.

Knows: RFC 3533 (pages) and RFC 7845 (granule positions, pre-skip, streams one after another). A page counts when it is
complete: its checksum covers all of it, so a player drops any other.
Does not know: what is in a packet.
"""

from dataclasses import dataclass, field

CAPTURE = b"OggS"
HEADER_BYTES = 27
RATE = 48_000
BEGINS = 2  # of the header's flags: the first page of a stream
NO_PACKET_ENDS = 2**64 - 1  # the granule position of a page that a packet passes through
HEAD, PRE_SKIP_AT = b"OpusHead", 10
LONGEST_PACKET = 5760  # samples; RFC 6716, 2: 120 ms


@dataclass(slots=True)
class OggOpusPages:
    """The pages of one response; keeps less than one page, at most 65,307 bytes."""

    pending: bytearray = field(default_factory=bytearray)
    pages: int = 0  # with audio
    pre_skip: int = 0
    granule: int = 0  # of the present stream
    earlier_samples: int = 0  # of the streams before it

    def feed(self, chunk: bytes) -> None:
        """Count the pages that are complete with these bytes."""
        self.pending += chunk
        at, end = self.pending.find(CAPTURE), len(self.pending)
        while at >= 0 and at + HEADER_BYTES <= end:
            body_at = at + HEADER_BYTES + self.pending[at + HEADER_BYTES - 1]
            if body_at > end or (page_end := body_at + sum(self.pending[at + HEADER_BYTES : body_at])) > end:
                break
            self._count(at, body_at)
            at = self.pending.find(CAPTURE, page_end)
        # What follows the last page may be the beginning of the next one's capture pattern.
        del self.pending[: at if at >= 0 else max(0, end - len(CAPTURE) + 1)]

    def _count(self, at: int, body_at: int) -> None:
        page = self.pending
        if page[at + 5] & BEGINS:
            self.earlier_samples += self._samples
            is_head = page.startswith(HEAD, body_at)
            pre_skip_at = body_at + PRE_SKIP_AT
            self.pre_skip = int.from_bytes(page[pre_skip_at : pre_skip_at + 2], "little") if is_head else 0
            self.granule = 0
            return
        granule = int.from_bytes(page[at + 6 : at + 14], "little")
        packets = sum(size < 255 for size in page[at + HEADER_BYTES : body_at])  # noqa: PLR2004  # 255: it goes on
        if granule in {0, NO_PACKET_ENDS}:  # of the comments, or within a packet
            return
        self.pages += 1
        # No more than the packets can hold, whatever the page says; no less than before.
        self.granule = max(self.granule, min(granule, self.granule + packets * LONGEST_PACKET))

    @property
    def _samples(self) -> int:
        return max(0, self.granule - self.pre_skip)

    def seconds(self) -> float | None:
        """Return the length of all complete pages; None when none had audio."""
        return (self.earlier_samples + self._samples) / RATE if self.pages else None
