"""The STUN and TURN servers that a browser's WebRTC connection may use: a setting, as JSON, checked.

The objects are those of the browser's RTCIceServer: `urls`, and for TURN `username` and `credential`.

Knows: the URIs of RFC 7064 and RFC 7065. Does not know: which server reads the setting; it contacts none of them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_FIELDS: Final = frozenset({"urls", "username", "credential"})
_MOST: Final = 8  # browsers warn from five on: each is asked for each connection
_URI: Final = re.compile(
    r"(?P<scheme>stuns?|turns?):(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?"
    r"(?:\?transport=(?P<transport>[a-z]+))?",
    re.ASCII,
)
_LAST_PORT: Final = 65535


def parse_ice_servers(text: str) -> list[dict[str, Any]]:
    """Return the servers of a setting; none for an empty one.

    Raises:
        ValueError: naming what was given and what it must be.
    """
    if not text.strip():
        return []
    try:
        servers = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"ICE servers must be a JSON list of objects with 'urls': {error}") from error
    if not isinstance(servers, list) or len(servers) > _MOST:
        found = f"{len(servers)} of them" if isinstance(servers, list) else _shown(servers)
        raise ValueError(f"ICE servers must be a JSON list of at most {_MOST} objects; given {found}")
    return [_checked(each) for each in servers]


def checked_ice_servers(text: str) -> str:
    """Return the text. Raises ValueError as `parse_ice_servers`."""
    parse_ice_servers(text)
    return text


def _checked(server: Any) -> dict[str, Any]:
    if (
        not isinstance(server, dict)
        or not set(server) <= _FIELDS
        or not all(isinstance(each, str) or (name == "urls" and _are_texts(each)) for name, each in server.items())
    ):
        raise ValueError(f"an ICE server must be an object of {', '.join(sorted(_FIELDS))}; given {_shown(server)}")
    given = server.get("urls", [])
    urls = [given] if isinstance(given, str) else given
    if not urls:
        raise ValueError(f"an ICE server must have 'urls', such as stun:stun.example.com:3478; given {_shown(server)}")
    schemes = {_scheme(each) for each in urls}
    needs_user = any(each.startswith("turn") for each in schemes)
    if needs_user and not (_is_name(server.get("username")) and _is_name(server.get("credential"))):
        raise ValueError(f"a TURN server must have 'username' and 'credential' (RFC 8656, 5); {urls[0]} has not both")
    return {**server, "urls": urls}


def _scheme(uri: str) -> str:
    """Return a URI's scheme. Raises ValueError."""
    found = _URI.fullmatch(uri)
    if found is None:
        shown = uri.rpartition("@")[2]  # what is before it may be a password, in a form that no browser takes
        message = (
            f"{shown!r} is no URI of a STUN or TURN server: stun:HOST[:PORT], turn:HOST[:PORT][?transport=udp|tcp]"
        )
        raise ValueError(message)
    scheme, port, transport = found["scheme"], found["port"], found["transport"]
    if port is not None and not 0 < int(port) <= _LAST_PORT:
        raise ValueError(f"{uri!r} has port {port}; it must be 1 to {_LAST_PORT}")
    if transport is not None and (scheme.startswith("stun") or transport not in {"udp", "tcp"}):
        raise ValueError(f"{uri!r} has transport {transport}; it must be udp or tcp, and of a TURN server (RFC 7065)")
    return scheme


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _shown(server: Any) -> str:
    """Return what a message may quote: names of fields, never a credential."""
    return (
        f"an object of {', '.join(sorted(map(str, server))) or 'nothing'}" if isinstance(server, dict) else "no object"
    )
