"""Where audio is written as it arrives: a file that appears once it is complete, or standard output.

Knows: files and pipes. Does not know: where audio comes from.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from voxfleet_cli.errors import OutputError, UsageError, reason_of
from voxfleet_cli.speech.request import STANDARD_OUTPUT, finished_header

HEADER_BYTES = 256


@contextmanager
def opened(target: str) -> Iterator[BinaryIO]:
    """Yield what audio is written to; a file is kept only if all of it was written. Raises UsageError, OutputError."""
    if target == STANDARD_OUTPUT:
        if sys.stdout.isatty():
            raise UsageError("-o - writes audio to standard output, which is a terminal: pipe it, or give -o FILE")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("w+b") as file:
            yield file
            _finish(file)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"-o {target} can't be written: {reason_of(error)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _finish(file: BinaryIO) -> None:
    """Write the lengths into a wav's header: some players trust them."""
    length = file.tell()
    file.seek(0)
    header = file.read(HEADER_BYTES)
    if (changed := finished_header(header, length)) != header:
        file.seek(0)
        file.write(changed)
