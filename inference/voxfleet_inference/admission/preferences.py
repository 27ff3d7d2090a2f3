"""Parses `Prefer: wait=10` (RFC 7240, 4.3): the longest time that the client waits for the first byte.

Knows: as much of the header's grammar as finds one preference among others. An invalid preference is ignored, as
section 2 of the RFC says.
Does not know: clocks or HTTP frameworks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_LONGEST_WAIT_SECONDS: Final = 86_400  # a day; a longer wait is ignored
# A preference ends at a comma and its parameters begin at a semicolon, unless either stands within quotes.
_PREFERENCE: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*(?:"|$))+')
_WAIT: Final = re.compile(r'\s*wait\s*=\s*"?(?P<seconds>\d{1,9})"?\s*(?:;.*)?', re.IGNORECASE | re.DOTALL)
_IS_WAIT: Final = re.compile(r"\s*wait\s*(?:[=;].*)?", re.IGNORECASE | re.DOTALL)


def preferred_wait_seconds(prefer_headers: Iterable[str]) -> int | None:
    """Return the client's longest wait; None without a valid one.

    The first of several `wait` counts, and several headers form one list (RFC 7240, 2).
    """
    for preference in _PREFERENCE.findall(",".join(prefer_headers)):
        if _IS_WAIT.fullmatch(preference):
            return _checked(_WAIT.fullmatch(preference))
    return None


def _checked(wait: re.Match[str] | None) -> int | None:
    seconds = int(wait["seconds"]) if wait else 0
    return seconds if 1 <= seconds <= _LONGEST_WAIT_SECONDS else None
