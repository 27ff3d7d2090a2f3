"""What the licences of location databases ask a page to say. Pure.

Knows: the makers, by the type that their files name. Does not know: files, pages.
"""

from typing import NamedTuple


class Attribution(NamedTuple):
    """A link's text and target."""

    text: str
    url: str


# By the beginning of the type in a file's metadata, in small letters.
BY_TYPE = {
    "dbip": Attribution("IP Geolocation by DB-IP", "https://db-ip.com"),
    "geolite2": Attribution("GeoLite data by MaxMind", "https://www.maxmind.com"),
    "ipinfo": Attribution("IP address data powered by IPinfo", "https://ipinfo.io"),
}


def attribution_of(database_type: str) -> Attribution | None:
    """Return the attribution that a database of this type needs, if any."""
    given = database_type.lower()
    return next((attribution for start, attribution in BY_TYPE.items() if given.startswith(start)), None)
