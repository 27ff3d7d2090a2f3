"""A request for speech, from options: format by the file's name, text by argument, file or pipe. Pure.

Knows: formats and their endings, the fields of the speech API. Does not know: gateways, files, terminals.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from voxfleet_cli.errors import UsageError

# Ending -> response_format; a test compares the formats with the gateway's.
ENDINGS = {
    ".mp3": "mp3",
    ".opus": "opus",
    ".ogg": "opus",
    ".aac": "aac",
    ".flac": "flac",
    ".wav": "wav",
    ".pcm": "pcm",
    ".raw": "pcm",
    ".mulaw": "mulaw",
    ".ulaw": "mulaw",
    ".ul": "mulaw",
    ".alaw": "alaw",
    ".al": "alaw",
}
FORMATS = tuple(dict.fromkeys(ENDINGS.values()))
STANDARD_OUTPUT = "-"
UNKNOWN_LENGTH = 0xFFFFFFFF  # in a wav's header, while it is being made
RIFF_SIZE_AT = 4


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """What the user asked for."""

    text: str
    model: str
    response_format: str
    voice: str = "default"
    speed: float = 1.0
    seed: int | None = None
    normalize: bool = False

    def body(self) -> bytes:
        """Return the body of the request; what has its default is left out."""
        fields: dict[str, Any] = {"model": self.model, "input": self.text, "voice": self.voice}
        fields["response_format"] = self.response_format
        fields |= {"speed": self.speed} if self.speed != 1.0 else {}
        fields |= {"seed": self.seed} if self.seed is not None else {}
        fields |= {"normalize": True} if self.normalize else {}
        return json.dumps(fields, ensure_ascii=False).encode()


def format_of(target: str, given: str) -> str:
    """Return the format: the one given, or that of the file's ending. Raises UsageError."""
    if given:
        if given.lower() not in FORMATS:
            raise UsageError(f"--format must be one of {', '.join(FORMATS)}, not {given!r}")
        return given.lower()
    if target == STANDARD_OUTPUT:
        return "wav"
    ending = PurePath(target).suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(
            f"-o {target}: its ending must be one of {' '.join(ENDINGS)}, not {ending or 'none'!r}; or give --format"
        )
    return ENDINGS[ending]


def checked_text(text: str) -> str:
    """Return the text to be spoken. Raises UsageError where there is none."""
    if not text.strip():
        raise UsageError('there is no text: voxfleet speak "Hello." -o hello.wav, or --file FILE, or a pipe')
    return text


def only_model(models: Mapping[str, Any], given: str) -> str:
    """Return the model to ask: the one given, or the only one there is. Raises UsageError."""
    if given:
        return given
    names: dict[str, list[str]] = {}  # by the model that they mean: an alias and a full name are no second model
    for row in models.get("data") or []:
        names.setdefault(str(row.get("root") or row["id"]), []).append(str(row["id"]))
    known = [root if root in listed else listed[0] for root, listed in names.items()]
    bare = [name for name in known if "/" not in name] or known
    if len(bare) != 1:
        none = "the name of a model; this gateway has none, or none for this key"
        raise UsageError("--model must be " + (f"one of {', '.join(bare)}" if bare else none))
    return bare[0]


def finished_header(header: bytes, length: int) -> bytes:
    """Return the beginning of a wav file with the lengths that are known now; of anything else, unchanged."""
    data_at = header.find(b"data")
    if header[:4] != b"RIFF" or header[8:12] != b"WAVE" or data_at < 0 or len(header) < data_at + 8:
        return header
    size_at = data_at + 4
    if struct.unpack_from("<I", header, size_at)[0] != UNKNOWN_LENGTH or length - 8 > UNKNOWN_LENGTH:
        return header
    changed = bytearray(header)
    struct.pack_into("<I", changed, RIFF_SIZE_AT, length - 8)
    struct.pack_into("<I", changed, size_at, length - size_at - 4)
    return bytes(changed)


def wake_words(answer: Mapping[str, Any]) -> str:
    """Return what the answer to a wake means for the user; empty when nothing has to wake."""
    if answer.get("state") != "waking":
        return ""
    seconds = float(answer.get("ready_in_seconds") or 0.0)
    about = f", about {seconds:.0f} s" if seconds >= 1 else ""
    return f"region {answer.get('region')} is waking{about}"
