"""The exception tree of fetching. Every message names what was given, what was found, and the way out.

FetchError
├── LastingError   a retry gives the same result: unknown repository, wrong credentials, no space, unwritable folder
└── PassingError   a retry may succeed: the store cannot be reached, breaks off, or sent other bytes than it listed
"""


class FetchError(Exception):
    """The weights were not fetched; the message says why and what to do."""


class LastingError(FetchError):
    """A retry gives the same result until the source, the credentials or the folder change."""


class PassingError(FetchError):
    """A retry may succeed."""
