"""The addresses of `--rtc-public-address`, checked.

Knows: what an IP address looks like. Does not know: which code uses them.
"""

from __future__ import annotations

import ipaddress


def parse_addresses(text: str) -> tuple[str, ...]:
    """Return the addresses between the commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def checked_addresses(text: str) -> str:
    """Return the text.

    Raises:
        ValueError: a part is no IP address, or two are of one version.
    """
    versions = [_version(each) for each in parse_addresses(text)]
    if len(set(versions)) < len(versions):
        raise ValueError(f"{text!r} has two addresses of one IP version; give one IPv4, one IPv6 or both")
    return text


def _version(address: str) -> int:
    try:
        return ipaddress.ip_address(address).version
    except ValueError as error:
        raise ValueError(f"{address!r} is no IP address; a name is not looked up") from error
