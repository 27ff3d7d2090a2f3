"""What a client prefers, as RFC 7240 writes it: `Prefer: wait=10` is how long it waits for the first byte.

Knows: the header's grammar, as far as it is needed to find one preference among others. A preference that makes no
sense is ignored, as the RFC wants it.
Does not know: clocks or HTTP frameworks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_LONGEST_WAIT_SECONDS: Final = 86_400
# A preference ends at a comma and its parameters begin at a semicolon, unless either stands within quotes.
_PREFERENCE: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*(?:"|$))+')
_WAIT: Final = re.compile(r'\s*wait\s*=\s*"?(?P<seconds>\d{1,9})"?\s*(?:;.*)?', re.IGNORECASE | re.DOTALL)
_IS_WAIT: Final = re.compile(r"\s*wait\s*(?:[=;].*)?", re.IGNORECASE | re.DOTALL)


def preferred_wait_seconds(prefer_headers: Iterable[str]) -> int | None:
    """How long the client wants to wait at most; None when it does not say.

    Of several `wait` the first one counts, and several headers are one list.
    """
    for preference in _PREFERENCE.findall(",".join(prefer_headers)):
        if _IS_WAIT.fullmatch(preference):
            return _checked(_WAIT.fullmatch(preference))
    return None


def _checked(wait: re.Match[str] | None) -> int | None:
    seconds = int(wait["seconds"]) if wait else 0
    return seconds if 1 <= seconds <= _LONGEST_WAIT_SECONDS else None
