"""The values of `response_format`, as a table.

Knows: names, media types, codecs, and which sample rates each can carry.
Does not know: how samples become bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MIN_SAMPLE_RATE: Final = 8000
MAX_SAMPLE_RATE: Final = 96000


@dataclass(frozen=True, slots=True)
class Codec:
    """What PyAV needs to make one format: container, codec, sample layout, bit rate, options of the container."""

    container: str
    name: str
    sample_format: str
    bits_per_second: int | None
    options: tuple[tuple[str, str], ...] = ()
    stream_options: tuple[tuple[str, str], ...] = ()  # more of them, for audio that is sent while it is made


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One value of `response_format`."""

    name: str
    media_type: str
    default_sample_rate: int | None  # None: the model's own
    sample_rates: tuple[int, ...] = ()  # empty: any from MIN_SAMPLE_RATE to MAX_SAMPLE_RATE
    codec: Codec | None = None  # None: raw 16-bit samples
    sample_bytes: int | None = None  # of a format without headers and frames: its bytes are its samples

    def rate_for(self, requested: int | None, model_rate: int) -> int:
        """Return the rate to send: the requested one, the format's default, or the model's (or the next higher one)."""
        rate = requested or self.default_sample_rate or model_rate
        if not self.sample_rates or rate in self.sample_rates:
            return rate
        return min((each for each in self.sample_rates if each >= rate), default=max(self.sample_rates))

    def allows(self, sample_rate: int) -> bool:
        """Return whether a request may have this `sample_rate`."""
        if self.sample_rates:
            return sample_rate in self.sample_rates
        return MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE

    @property
    def rates_in_words(self) -> str:
        """The rates that a request may have, as an error message says them."""
        if self.sample_rates:
            return "one of " + ", ".join(str(rate) for rate in self.sample_rates)
        return f"{MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE}"


_MPEG_RATES: Final = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_OPUS_RATES: Final = (48000,)  # whatever is encoded, Opus decodes to 48 kHz
_AT_ONCE: Final = ("flush_packets", "1")
# A stream has no Xing header: it holds the length, which is unknown when the first bytes are sent.
_MP3: Final = Codec("mp3", "libmp3lame", "fltp", 128_000, (("id3v2_version", "0"),), (("write_xing", "0"), _AT_ONCE))
_AAC: Final = Codec("adts", "aac", "fltp", 128_000, (), (_AT_ONCE,))
_FLAC: Final = Codec("flac", "flac", "s16", None, (), (_AT_ONCE,))
# Pages of 20 ms: Ogg would otherwise hold back more than a second of audio. Bit-exact: FFmpeg would draw a number for
# each stream, and equal requests would be different files.
_OGG: Final = (("fflags", "+bitexact"),)
_OPUS: Final = Codec("ogg", "libopus", "flt", 64_000, _OGG, (("page_duration", "20000"), _AT_ONCE))

# G.711 (ITU-T), 64 kbit/s at the telephone network's 8 kHz; its bytes alone, as Twilio's media streams carry them.
_MULAW: Final = Codec("mulaw", "pcm_mulaw", "s16", None, (_AT_ONCE,))
_ALAW: Final = Codec("alaw", "pcm_alaw", "s16", None, (_AT_ONCE,))
_TELEPHONE_RATE: Final = 8000

FORMATS: Final[Mapping[str, AudioFormat]] = {
    each.name: each
    for each in (
        AudioFormat("mp3", "audio/mpeg", None, _MPEG_RATES, _MP3),
        AudioFormat("opus", "audio/ogg", 48000, _OPUS_RATES, _OPUS),
        AudioFormat("aac", "audio/aac", None, _MPEG_RATES, _AAC),
        AudioFormat("flac", "audio/flac", None, (), _FLAC),
        AudioFormat("wav", "audio/wav", None),
        AudioFormat("pcm", "audio/pcm", 24000, sample_bytes=2),  # players hard-code OpenAI's rate
        AudioFormat("mulaw", "audio/PCMU", _TELEPHONE_RATE, (), _MULAW, sample_bytes=1),  # RFC 4856's names
        AudioFormat("alaw", "audio/PCMA", _TELEPHONE_RATE, (), _ALAW, sample_bytes=1),
    )
}
